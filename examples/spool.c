/* A spool directory: no job is lost and none has two results, whoever is killed and when.
 *
 *     new/X  ── claim ──▶  held/X  ── result ──▶  done/X
 *       ▲                    │ └── TRIES workers died of it ──▶  failed/X
 *       └───── X.try2 ───────┘ its worker died
 *
 * A job is put into new/ by a rename, so that it is there as a whole; names that begin with
 * a dot are not looked at. A name is used once: what stands in done/ is not done again.
 * The ending .tryN is ours. All rooms are on one local file system.
 *
 * Claim: open, flock(2), then rename. The name in held/ is younger than the lock, and the
 * lock ends with its process. So a name in held/ with a free lock is a dead worker's claim,
 * and remains one, because attempt 2 has another name. Whoever sees it may act at any time
 * later: of several that do, one wins the rename and the others find nothing.
 *
 * End: the result is written to done/.X and is on disk before it gets the name done/X,
 * where it replaces nothing; that is on disk before held/X is removed. What a kill leaves
 * behind:
 *   - before the claim: new/X;
 *   - before the result has its name: the claim, and half a result, which is removed. Next
 *     is X.try2;
 *   - before the claim is removed: the claim beside done/X, so that removing it is all.
 *
 * Claims of the dead are looked for when a worker dies (by its master), at start, and at
 * every look for jobs: for workers that outlive their master and die then, and for two
 * servers on one spool, which are no special case.
 *
 * inotify(7) tells of new jobs. Every RESCAN_S we look without it: for what got lost, and
 * for a job that was left alone because somebody was just looking at its lock. A room that
 * is missing, full or forbidden, and a job that cannot be read, which stays in new/, are
 * told when the trouble begins, changes and ends, once for all processes. Then we look
 * every RETRY_S. Rooms are not made again: below a missing mount they would hide jobs.
 *
 * Left out: order; peace for idle workers, who are all woken by a job that one of them
 * gets; effects elsewhere. Work may begin several times: what happens once is the result.
 */
#include "spool.h"

#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TRIES = 5,
    RESCAN_S = 10,
    RETRY_S = 1,
    WATCHED = IN_MOVED_TO | IN_MOVE_SELF | IN_DELETE_SELF
};

static const char longest_prefix_and_suffix[] = "..try999";

struct path {
    char text[PATH_MAX];
};

static struct path
at(const struct spool *s, enum spool_room room, const char *prefix, const char *name)
{
    static const char *const rooms[] = {"new", "held", "done", "failed"};
    struct path path;

    (void)snprintf(path.text, sizeof path.text, "%s/%s/%s%s", s->path, rooms[room], prefix,
                   name);
    return path;
}

static int
move(struct path from, struct path to)
{
    return rename(from.text, to.text) < 0 ? -errno : 0;
}

/* The trouble of a room is told when it begins, changes and ends, whoever meets it. */
static int
tell(const struct spool *s, enum spool_room room, const char *name, int r)
{
    if (atomic_exchange(&s->trouble[room], -r) == -r)
        return r;
    if (r < 0)
        prefork_log(PREFORK_LOG_ERROR, "%s: %s", at(s, room, "", name).text, strerror(-r));
    else
        prefork_log(PREFORK_LOG_NOTICE, "%s works again", at(s, room, "", "").text);
    return r;
}

/* X is the first attempt, X.try2 the second. */
static struct spool_job
job_named(const char *name)
{
    struct spool_job job = {.attempt = 1, .fd = -1};
    const char *dot = strrchr(name, '.');
    char digits[4];
    char rest;
    bool again = dot && sscanf(dot, ".try%3[0-9]%c", digits, &rest) == 1;

    memcpy(job.name, name, strlen(name));
    memcpy(job.base, name, again ? (size_t)(dot - name) : strlen(name));
    if (again)
        job.attempt = (unsigned)strtoul(digits, NULL, 10);
    return job;
}

/* The name may have become another file's before we had the lock. */
static int
check_name(int fd, const char *path)
{
    struct stat ours;
    struct stat named;

    if (fstat(fd, &ours) < 0 || lstat(path, &named) < 0)
        return errno == ENOENT ? -EAGAIN : -errno;
    if (!S_ISREG(ours.st_mode))
        return -ENOTSUP;
    return ours.st_dev == named.st_dev && ours.st_ino == named.st_ino ? 0 : -EAGAIN;
}

/* The file of this name, open and locked. -EAGAIN: somebody else has or had it. */
static int
lock(struct path path)
{
    int fd = open(path.text, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    int r;

    if (fd < 0)
        return errno == ENOENT ? -EAGAIN : -errno;
    r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : check_name(fd, path.text);
    if (r == 0)
        return fd;
    (void)close(fd);
    return r;
}

/* ---- what the dead left behind -------------------------------------------------- */

/* The line comes before the claim goes: a result has a line by its worker, or one by
 * whoever finds the claim, or both, and never none. */
static int
remove_done(struct path claim, const struct spool_job *job)
{
    prefork_log(PREFORK_LOG_NOTICE, "job %s: done before its worker died", job->base);
    return unlink(claim.text) < 0 ? -errno : 0;
}

static int
put_back(const struct spool *s, struct path claim, const struct spool_job *job)
{
    bool last = job->attempt >= TRIES;
    char next[2 * NAME_MAX];
    int r;

    (void)snprintf(next, sizeof next, "%s.try%u", job->base, job->attempt + 1);
    r = move(claim, last ? at(s, SPOOL_FAILED, "", job->base) : at(s, SPOOL_NEW, "", next));
    if (r == 0)
        prefork_log(PREFORK_LOG_WARNING, "job %s: its worker died in attempt %u%s",
                    job->base, job->attempt, last ? ", the last" : "");
    return r;
}

static int
recover(const struct spool *s, const char *name)
{
    struct path claim = at(s, SPOOL_HELD, "", name);
    struct spool_job job = job_named(name);
    int r = lock(claim);

    if (r < 0)
        return r;
    (void)close(r);
    (void)unlink(at(s, SPOOL_DONE, ".", name).text);
    if (access(at(s, SPOOL_DONE, "", job.base).text, F_OK) == 0)
        r = remove_done(claim, &job);
    else
        r = errno == ENOENT ? put_back(s, claim, &job) : -errno;
    if (r == -ENOENT && access(claim.text, F_OK) < 0)
        return -EAGAIN; /* somebody else did the same */
    return r;
}

void
spool_recover(struct spool *s)
{
    DIR *dir = opendir(at(s, SPOOL_HELD, "", "").text);
    int r = dir ? 0 : tell(s, SPOOL_HELD, "", -errno);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        int one = entry->d_name[0] == '.' ? 0 : recover(s, entry->d_name);
        if (one < 0 && one != -EAGAIN && r == 0)
            r = tell(s, SPOOL_HELD, entry->d_name, one);
    }
    if (dir)
        (void)closedir(dir);
    if (r == 0)
        (void)tell(s, SPOOL_HELD, "", 0);
}

/* ---- jobs ----------------------------------------------------------------------- */

/* What came before new/ is opened is seen, and what comes later wakes us. */
void
spool_look(struct spool *s)
{
    struct path new = at(s, SPOOL_NEW, "", "");
    char events[4096];

    if (s->watch < 0)
        s->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    while (read(s->watch, events, sizeof events) > 0)
        continue;
    s->watched = inotify_add_watch(s->watch, new.text, WATCHED) >= 0;
    spool_recover(s);
    s->dir = opendir(new.text);
    s->met = s->dir ? 0 : tell(s, SPOOL_NEW, "", -errno);
}

static int
claim(const struct spool *s, const char *name, struct spool_job *ret_job)
{
    struct spool_job job = job_named(name);
    int r;

    if (strlen(name) + strlen(longest_prefix_and_suffix) > NAME_MAX)
        return -ENAMETOOLONG;
    job.fd = lock(at(s, SPOOL_NEW, "", name));
    if (job.fd < 0)
        return job.fd;
    r = move(at(s, SPOOL_NEW, "", name), at(s, SPOOL_HELD, "", name));
    if (r < 0)
        (void)close(job.fd);
    else
        *ret_job = job;
    return r;
}

int
spool_next(struct spool *s, struct spool_job *ret_job)
{
    struct dirent *entry;

    if (!s->dir)
        return 0;
    while ((entry = readdir(s->dir))) {
        int r = entry->d_name[0] == '.' ? -EAGAIN : claim(s, entry->d_name, ret_job);
        if (r == 0)
            return 1;
        if (r != -EAGAIN && s->met == 0)
            s->met = tell(s, SPOOL_NEW, entry->d_name, r);
    }
    (void)closedir(s->dir);
    s->dir = NULL;
    if (s->met == 0)
        (void)tell(s, SPOOL_NEW, "", 0);
    return 0;
}

double
spool_patience(const struct spool *s)
{
    return s->watched && s->met == 0 ? RESCAN_S : RETRY_S;
}

static int
store(struct path room, struct path half, struct path whole, const char *result)
{
    int dir = open(room.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = dir < 0 ? -1 : open(half.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool ok = fd >= 0 && dprintf(fd, "%s\n", result) > 0 && fsync(fd) == 0 &&
              renameat2(AT_FDCWD, half.text, AT_FDCWD, whole.text, RENAME_NOREPLACE) == 0 &&
              fsync(dir) == 0;
    int r = ok ? 0 : -errno;

    if (fd >= 0)
        (void)close(fd);
    if (dir >= 0)
        (void)close(dir);
    return r;
}

int
spool_store(struct spool *s, const struct spool_job *job, const char *result)
{
    struct path room = at(s, SPOOL_DONE, "", "");
    struct path half = at(s, SPOOL_DONE, ".", job->name);
    int r = store(room, half, at(s, SPOOL_DONE, "", job->base), result);

    if (r < 0)
        (void)unlink(half.text); /* makes room, where that is what is missing */
    return r == -EEXIST ? 1 : tell(s, SPOOL_DONE, job->base, r);
}

/* The name goes before the lock. A claim that cannot be moved is for recover(). */
void
spool_leave(struct spool *s, struct spool_job *job, bool stored)
{
    struct path claim = at(s, SPOOL_HELD, "", job->name);

    if (stored)
        (void)unlink(claim.text);
    else
        (void)move(claim, at(s, SPOOL_NEW, "", job->name));
    (void)close(job->fd);
}

/* ---- the start ------------------------------------------------------------------ */

static int
open_room(const struct spool *s, enum spool_room room)
{
    struct path path = at(s, room, "", "");
    int r = 0;

    if ((mkdir(path.text, 0777) < 0 && errno != EEXIST) ||
        access(path.text, R_OK | W_OK | X_OK) < 0) {
        r = -errno;
        prefork_log(PREFORK_LOG_ERROR, "spool: cannot use %s: %s", path.text, strerror(-r));
    }
    return r;
}

int
spool_open(struct spool *s, const char *path)
{
    int r = 0;

    if (path[0] != '/' || strlen(path) > PATH_MAX - NAME_MAX - 32) {
        prefork_log(PREFORK_LOG_ERROR, "spool: needs an absolute path, and not \"%s\"",
                    path);
        return -EINVAL;
    }
    *s = (struct spool){.path = path, .watch = -1};
    s->trouble = mmap(NULL, SPOOL_ROOMS * sizeof *s->trouble, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s->trouble == MAP_FAILED)
        return -errno;
    (void)mkdir(path, 0777); /* if it cannot be made, neither can its rooms */
    for (unsigned room = 0; room < SPOOL_ROOMS && r == 0; room++)
        r = open_room(s, room);
    if (r == 0)
        spool_recover(s);
    return r;
}
