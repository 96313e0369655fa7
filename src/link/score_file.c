/* The scoreboard in a file.
 *
 * It is made beside its place under a name of its own, complete, and then put there: by
 * link(2) where nothing is, which fails if something is there by now, and by rename(2) over
 * what a server left behind. Whoever has the old one open keeps it; nobody ever sees half
 * of a new one.
 *
 * The master never maps the file, so nothing that happens to it is more than a failed
 * pwrite(2). The write that puts a page there also makes its blocks, and the worker that
 * maps the page then touches what exists. A record is written in three: an odd number, the
 * line, an even number. Each of these takes the lock of the inode, which puts them in an
 * order for whoever has the file mapped.
 *
 * There are two open file descriptions. A mapping keeps the one that it was made from, with
 * the lock on it, for as long as the mapping lasts; so workers map from one without a lock,
 * or a server that was killed would seem to live for as long as a worker does.
 *
 * The directory is held open, so that the file can be removed from another root directory.
 *
 * A master that takes over from another one goes on with its file, whose workers have it
 * mapped. Where that cannot be (another path, more records) the new file stays beside its
 * place until there is no way back: then it is put there, as at a start.
 *
 * Not here: what stands at the path already (score_found.c); when to write what
 * (master/publish.c). */
#include "link/score_file.h"

#include "link/score_found.h"
#include "os/fd.h"
#include "os/guard.h"
#include "os/memory.h"
#include "os/share.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static_assert(offsetof(struct pf_score_head, totals) % sizeof(uint64_t) == 0,
              "a number that is written is never seen in part");
static_assert(sizeof(struct pf_score_totals) <= PF_SCORE_WORDS * sizeof(uint64_t),
              "totals fit into a record");

/* ---- writing --------------------------------------------------------------------- */

static off_t
offset_of(const struct pf_score_file *f, unsigned slot)
{
    return (off_t)(f->page_bytes * (1 + (size_t)slot));
}

static off_t
file_bytes(const struct pf_score_file *f)
{
    return offset_of(f, f->records);
}

static int
put(const struct pf_score_file *f, off_t at, const void *bytes, size_t count)
{
    ssize_t n = pwrite(f->fd, bytes, count, at);

    if (n < 0)
        return -errno;
    return n == (ssize_t)count ? 0 : -ENOSPC;
}

/* As pf_score_write(), which says why the next number follows from any other. */
static int
put_record(const struct pf_score_file *f, off_t at, const void *words, size_t bytes)
{
    uint64_t sequence = 0;
    int r;

    if (pread(f->fd, &sequence, sizeof sequence, at) < 0)
        return -errno;
    sequence |= 1;
    r = put(f, at, &sequence, sizeof sequence);
    if (r == 0)
        r = put(f, at + (off_t)sizeof sequence, words, bytes);
    sequence++;
    return r == 0 ? put(f, at, &sequence, sizeof sequence) : r;
}

/* All of the page, and so also what somebody scribbled behind the record. */
int
pf_score_file_write(struct pf_score_file *f, unsigned slot,
                    const struct pf_score_line *line)
{
    PF_ASSERT(slot < f->records);
    memset(f->page, 0, f->page_bytes);
    memcpy(f->page, line, sizeof *line);
    return put_record(f, offset_of(f, slot), f->page, f->page_bytes - sizeof(uint64_t));
}

int
pf_score_file_write_totals(struct pf_score_file *f, const struct pf_score_totals *totals)
{
    uint64_t words[PF_SCORE_WORDS] = {0};

    memcpy(words, totals, sizeof *totals);
    return put_record(f, offsetof(struct pf_score_head, totals), words, sizeof words);
}

enum pf_score_damage
pf_score_file_damage(const struct pf_score_file *f)
{
    struct stat st;

    if (fstat(f->fd, &st) < 0 || st.st_nlink == 0)
        return PF_SCORE_REMOVED;
    return st.st_size < file_bytes(f) ? PF_SCORE_CUT : PF_SCORE_INTACT;
}

/* ---- opening --------------------------------------------------------------------- */

/* What stands where in a name beside the file's, where it is made: such that nobody can
 * have taken it, by chance or foresight. */
static unsigned
choose_beside(void)
{
    return 1 + arc4random_uniform(UINT32_MAX);
}

/* Where it is now. 0 or -ENAMETOOLONG. */
static int
name_present(const struct pf_score_file *f, const char *path, char name[static PATH_MAX])
{
    int n = f->beside ? snprintf(name, PATH_MAX, "%s.%08x", path, f->beside)
                      : snprintf(name, PATH_MAX, "%s", path);

    return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static bool
same_file(int a, int b)
{
    struct stat first;
    struct stat second;

    return fstat(a, &first) == 0 && fstat(b, &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/* Both descriptions of it, and its lock. What is made here has no holes but the pages of
 * workers: a disk that is full shows now. */
static int
make_file(struct pf_score_file *f, const char *beside)
{
    const struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

    f->fd = open(beside, flags | O_CREAT | O_EXCL, 0644);
    if (f->fd < 0)
        return -errno;
    f->page_fd = open(beside, flags);
    if (f->page_fd < 0 || ftruncate(f->fd, file_bytes(f)) < 0 ||
        fcntl(f->fd, F_OFD_SETLK, &lock) < 0)
        return -errno;
    return same_file(f->fd, f->page_fd) ? 0 : -ESTALE;
}

static int
put_head(struct pf_score_file *f, const char *name, int64_t started)
{
    struct pf_score_head head = {
        .order = PF_SCORE_ORDER,
        .version = PF_SCORE_VERSION,
        .head_bytes = (uint32_t)f->page_bytes,
        .stride = (uint32_t)f->page_bytes,
        .records = f->records,
        .pid = (int32_t)getpid(),
        .started = started,
    };

    memcpy(head.magic, PF_SCORE_MAGIC, sizeof head.magic);
    (void)snprintf(head.name, sizeof head.name, "%s", name);
    memset(f->page, 0, f->page_bytes);
    memcpy(f->page, &head, sizeof head);
    return put(f, 0, f->page, f->page_bytes);
}

/* 0, or a negative errno; -EEXIST: something is at the path by now. Then, and after every
 * failure, it is not beside it any more either. */
static int
put_in_place(struct pf_score_file *f, bool replace)
{
    char beside[PATH_MAX];
    int r = name_present(f, f->path, beside);

    if (r == 0 && (replace ? rename(beside, f->path) : link(beside, f->path)) < 0)
        r = -errno;
    if (r < 0 || !replace)
        (void)unlink(beside); /* it has its own name now, or none */
    f->beside = 0;
    return r;
}

/* The last name of the path. */
static const char *
name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static int
open_directory(struct pf_score_file *f)
{
    size_t length = (size_t)(name_of(f->path) - f->path);
    char path[PATH_MAX] = ".";

    if (length >= sizeof path)
        return -ENAMETOOLONG;
    if (length > 0) {
        memcpy(path, f->path, length);
        path[length] = '\0';
    }
    f->directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return f->directory < 0 ? -errno : 0;
}

static int
make(struct pf_score_file *f, const char *name, int64_t started)
{
    char beside[PATH_MAX];
    int r = name_present(f, f->path, beside);

    if (r == 0)
        r = open_directory(f);
    if (r == 0)
        r = make_file(f, beside);
    if (r == 0)
        r = put_head(f, name, started);
    if (r < 0 && f->fd >= 0)
        (void)unlink(beside);
    return r;
}

static void
tell_left(const char *path, const struct pf_score_head *head,
          void (*told_left)(void *context, const char *text), void *context)
{
    char text[PF_ERROR_TEXT_BYTES];

    (void)snprintf(
        text, sizeof text,
        "scoreboard_path %s: made anew: the server %s, process %d, ended without "
        "cleaning up",
        path, head->name, (int)head->pid);
    told_left(context, text);
}

static int
give_up(struct pf_score_file *f, const char *path, int r, struct pf_error *error)
{
    pf_score_file_leave(f);
    return pf_score_found_refuse(path, -r, error);
}

static void
init(struct pf_score_file *f, const char *path, unsigned records)
{
    *f = (struct pf_score_file){
        .path = path,
        .directory = -1,
        .fd = -1,
        .page_fd = -1,
        .records = records,
        .page_bytes = pf_share_page_bytes(),
        .page = pf_memory_new_own(pf_share_page_bytes()),
    };
}

int
pf_score_file_open(struct pf_score_file *f, const char *path, unsigned records,
                   const char *name, int64_t started,
                   void (*told_left)(void *context, const char *text), void *context,
                   struct pf_error *error)
{
    struct pf_score_found found;
    int r = pf_score_found_take(path, &found, error);

    if (r < 0)
        return r;
    init(f, path, records);
    f->beside = choose_beside();
    r = f->page ? make(f, name, started) : -ENOMEM;
    if (r == 0)
        r = put_in_place(f, found.fd >= 0);
    if (r == 0 && found.fd >= 0)
        tell_left(path, &found.head, told_left, context);
    pf_fd_close(&found.fd);
    return r < 0 ? give_up(f, path, r, error) : 0;
}

/* May it be put there? 1: over what is there. */
static int
look(const char *path, int before, struct pf_error *error)
{
    struct pf_score_found found;
    bool replace;
    int r;

    if (pf_score_found_is_at(before, path))
        return 1;
    r = pf_score_found_take(path, &found, error);
    replace = found.fd >= 0;
    pf_fd_close(&found.fd);
    return r < 0 ? r : replace;
}

int
pf_score_file_make(struct pf_score_file *f, const char *path, unsigned records,
                   const char *name, int64_t started, int before, struct pf_error *error)
{
    int r = look(path, before, error);

    if (r < 0)
        return r;
    init(f, path, records);
    f->beside = choose_beside();
    r = f->page ? make(f, name, started) : -ENOMEM;
    return r < 0 ? give_up(f, path, r, error) : 0;
}

int
pf_score_file_settle(struct pf_score_file *f, int before, struct pf_error *error)
{
    char beside[PATH_MAX];
    int r = look(f->path, before, error);

    if (r < 0) {
        if (name_present(f, f->path, beside) == 0)
            (void)unlink(beside);
        f->beside = 0;
        return r;
    }
    r = put_in_place(f, r > 0);
    return r < 0 ? pf_score_found_refuse(f->path, -r, error) : 0;
}

/* ---- taking over ----------------------------------------------------------------- */

/* 0: a whole scoreboard of a server of this name; its records are those of f. */
static int
read_handed(struct pf_score_file *f, const char *name, struct pf_score_head *head)
{
    struct stat st;

    if (fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode) || !same_file(f->fd, f->page_fd) ||
        !pf_score_found_is_at(f->fd, f->path))
        return -ESTALE;
    if (pread(f->fd, head, sizeof *head, 0) != (ssize_t)sizeof *head ||
        memcmp(head->magic, PF_SCORE_MAGIC, sizeof head->magic) != 0 ||
        head->order != PF_SCORE_ORDER || head->version != PF_SCORE_VERSION ||
        head->head_bytes != f->page_bytes || head->stride != f->page_bytes ||
        strncmp(head->name, name, sizeof head->name - 1) != 0 || head->records < f->records)
        return -EBADMSG;
    f->records = head->records;
    return st.st_size < file_bytes(f) ? -EBADMSG : 0;
}

/* It came with the descriptor, unless somebody has released it. */
static int
take_lock(const struct pf_score_file *f)
{
    const struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(f->fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

static int
put_pid(struct pf_score_file *f, const struct pf_score_head *head)
{
    const int32_t pid = (int32_t)getpid();

    return pid == head->pid ? 0
                            : put(f, offsetof(struct pf_score_head, pid), &pid, sizeof pid);
}

int
pf_score_file_adopt(struct pf_score_file *f, const char *path, unsigned records,
                    const char *name, int fd, int page_fd)
{
    struct pf_score_head head;
    int r;

    init(f, path, records);
    f->fd = fd;
    f->page_fd = page_fd;
    r = f->page ? read_handed(f, name, &head) : -ENOMEM;
    if (r == 0)
        r = open_directory(f);
    if (r == 0)
        r = take_lock(f);
    if (r == 0)
        r = put_pid(f, &head);
    if (r < 0) {
        f->fd = -1; /* they stay the caller's */
        f->page_fd = -1;
        pf_score_file_leave(f);
    }
    return r;
}

/* ---- a worker's side, and the end ------------------------------------------------ */

struct pf_score *
pf_score_file_claim(int page_fd, unsigned slot)
{
    return pf_guard_page(page_fd, 1 + (size_t)slot);
}

void
pf_score_file_leave(struct pf_score_file *f)
{
    pf_memory_free(f->page, f->page_bytes);
    pf_fd_close(&f->directory);
    pf_fd_close(&f->fd);
    pf_fd_close(&f->page_fd);
    *f = (struct pf_score_file)PF_SCORE_FILE_NONE;
}

/* 0, -ENOENT: it is not there (any more), or another one is; or another negative errno. */
static int
remove_ours(const struct pf_score_file *f)
{
    char name[PATH_MAX];
    struct stat ours;
    struct stat there;

    if (name_present(f, name_of(f->path), name) < 0 || fstat(f->fd, &ours) < 0 ||
        fstatat(f->directory, name, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (ours.st_dev != there.st_dev || ours.st_ino != there.st_ino)
        return -ENOENT;
    return unlinkat(f->directory, name, 0) < 0 ? -errno : 0;
}

int
pf_score_file_close(struct pf_score_file *f)
{
    bool is_there = f->path && pf_score_file_damage(f) != PF_SCORE_REMOVED;
    int r = is_there ? remove_ours(f) : 0;

    pf_score_file_leave(f);
    return r;
}

int
pf_score_file_remove(const char *path, int *fd, int *page_fd)
{
    struct pf_score_file f = {
        .path = path, .directory = -1, .fd = *fd, .page_fd = *page_fd};
    int r = *fd >= 0 ? open_directory(&f) : 0;

    if (r == 0 && *fd >= 0)
        r = remove_ours(&f);
    pf_score_file_leave(&f);
    *fd = -1;
    *page_fd = -1;
    return r == -ENOENT ? 0 : r;
}
