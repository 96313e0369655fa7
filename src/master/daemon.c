/* Leaving the terminal.
 *
 * The process that was started stays until the daemon says that the first worker is ready,
 * or why there will be none, and exits with that: a start script that sees status 0 may
 * rely on it. The word comes on a pipe; a daemon that dies before it closes the pipe.
 *
 * The pid file is locked (flopen(3bsd)) for as long as the daemon lives, so a stale one, or
 * a number that somebody else has meanwhile, is no obstacle. The lock belongs to the open
 * file, so every worker closes its copy. Its directory is held open, so that it is found
 * again whatever directory or root the daemon or its hooks change to. A symbolic link at
 * its path is not followed: in a directory where others may write it could lead to any
 * file. */
#include "master/daemon.h"

#include "log/log.h"
#include "os/fd.h"
#include "os/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct verdict {
    int exit_code;
    char text[PF_ERROR_TEXT_BYTES];
};

static ssize_t
read_verdict(int fd, struct verdict *v)
{
    ssize_t n;

    do
        n = read(fd, v, sizeof *v); /* written by one write, smaller than PIPE_BUF */
    while (n < 0 && errno == EINTR);
    return n;
}

PF_NORETURN static void
wait_for_verdict(int fd)
{
    struct verdict v = {.exit_code = PREFORK_EXIT_SOFTWARE};

    if (read_verdict(fd, &v) != (ssize_t)sizeof v)
        v = (struct verdict){.exit_code = PREFORK_EXIT_SOFTWARE,
                             .text = "the server died while it was starting"};
    v.text[sizeof v.text - 1] = '\0';
    if (v.exit_code != PREFORK_EXIT_OK)
        (void)fprintf(stderr, "%s\n", v.text);
    (void)fflush(NULL);
    _exit(v.exit_code);
}

int
pf_daemon_start(struct pf_daemonized *d, const struct pf_daemon *settings,
                struct pf_error *error)
{
    int ends[2];
    pid_t pid;

    *d = PF_DAEMONIZED_NONE;
    if (!settings->background && !settings->setsid)
        return 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, errno,
                            "cannot go to the background: %s", strerror(errno));
    (void)fflush(NULL);
    pid = fork();
    if (pid < 0)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, errno,
                            "cannot go to the background: %s", strerror(errno));
    if (pid > 0) {
        (void)close(ends[1]);
        wait_for_verdict(ends[0]);
    }
    (void)close(ends[0]);
    d->verdict = ends[1];
    if (settings->setsid)
        (void)setsid(); /* cannot fail: a forked child leads no group */
    else
        (void)setpgid(0, 0);
    return 0;
}

/* The process that has the pid file locked and is named by it; 0: none such, because
 * whoever has it has not written it yet, or will let go of it in a moment. */
static pid_t
owner_of(const struct pf_place *place)
{
    int fd = openat(place->directory, place->name,
                    O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
    pid_t holder = 0;
    pid_t named = 0;
    bool known = fd >= 0 && pf_pidfile_read(fd, &named) == 0 &&
                 pf_pidfile_holder(fd, &holder) == 0 && holder == named;

    pf_fd_close(&fd);
    return known ? named : 0;
}

/* Somebody has it locked. A server has for as long as it lives; whoever looks whether a
 * file that was left behind may be removed has for a moment (control/running.c), and must
 * not keep a server from starting. */
static int
open_locked(const struct pf_place *place, pid_t *ret_owner)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    int tries = 100;
    int fd;

    *ret_owner = 0;
    do {
        fd = pf_pidfile_open_locked(place->directory, place->name);
        if (fd != -EWOULDBLOCK)
            return fd;
        *ret_owner = owner_of(place);
        if (*ret_owner != 0)
            break;
        (void)nanosleep(&pause, NULL);
    } while (--tries > 0);
    return -EWOULDBLOCK;
}

static int
refuse_pid_file(const char *path, int errnum, pid_t owner, struct pf_error *error)
{
    if (errnum == EWOULDBLOCK && owner == 0)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, EEXIST,
                            "pid_file %s: is locked by a process that it does not name: is "
                            "the server running in a container?",
                            path);
    if (errnum == EWOULDBLOCK)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, EEXIST,
                            "pid_file %s: the server is running already as process %d",
                            path, (int)owner);
    if (errnum == ELOOP)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, errnum,
                            "pid_file %s: is a symbolic link: name the real path, or "
                            "remove it",
                            path);
    return pf_error_set(
        error, PREFORK_EXIT_SYSTEM, errnum, "pid_file %s: %s%s", path, strerror(errnum),
        errnum == ENOENT || errnum == EACCES ? "; is the directory there and writable?"
                                             : "");
}

static int
write_number(int fd)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%d\n", (int)getpid());

    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)length, 0) != length)
        return errno != 0 ? -errno : -EIO;
    return 0;
}

int
pf_daemon_write_pid(struct pf_daemonized *d, const char *path, struct pf_error *error)
{
    pid_t owner = 0;
    int r;

    if (!path)
        return 0;
    r = pf_place_open(&d->pid_place, path);
    if (r < 0)
        return refuse_pid_file(path, -r, 0, error);
    r = open_locked(&d->pid_place, &owner);
    if (r < 0)
        return refuse_pid_file(path, -r, owner, error);
    d->pid_fd = r;
    r = write_number(d->pid_fd);
    if (r < 0) {
        /* It is locked: nobody else's, and of no use to anybody. */
        (void)unlinkat(d->pid_place.directory, d->pid_place.name, 0);
        pf_fd_close(&d->pid_fd);
        return refuse_pid_file(path, -r, 0, error);
    }
    return 0;
}

void
pf_daemon_take_over(struct pf_daemonized *d, const char *path, int fd)
{
    d->pid_fd = fd;
    if (pf_place_open(&d->pid_place, path) < 0)
        pf_log(PREFORK_LOG_WARNING, "pid_file %s: its directory cannot be opened: %s", path,
               strerror(errno));
}

/* The kernel knows who took the lock: that is to be this process, so it is taken anew. */
int
pf_daemon_rewrite_pid(struct pf_daemonized *d, struct pf_error *error)
{
    int r = flock(d->pid_fd, LOCK_UN) < 0 || flock(d->pid_fd, LOCK_EX | LOCK_NB) < 0
                ? -errno
                : write_number(d->pid_fd);

    return r < 0 ? refuse_pid_file(d->pid_place.path, -r, owner_of(&d->pid_place), error)
                 : 0;
}

static int
redirect(const struct pf_log_target *log, int null_fd)
{
    if (null_fd < 0)
        return null_fd;
    if (dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0)
        return -errno;
    if (log->kind == PF_LOG_FILE)
        return pf_log_lead_stderr();
    if (log->kind == PF_LOG_STDERR && log->named)
        return 0;
    return dup2(null_fd, STDERR_FILENO) < 0 ? -errno : 0;
}

int
pf_daemon_redirect(const struct pf_daemon *settings, struct pf_error *error)
{
    int null_fd;
    int r;

    if (!settings->setsid && !(settings->background && settings->log.kind != PF_LOG_STDERR))
        return 0;
    null_fd = pf_fd_open_null();
    r = redirect(&settings->log, null_fd);
    pf_fd_close(&null_fd);
    if (r < 0)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, -r,
                            "cannot redirect standard descriptors: %s", strerror(-r));
    return 0;
}

bool
pf_daemon_tell(struct pf_daemonized *d, int exit_code, const char *text)
{
    struct verdict v = {.exit_code = exit_code};
    ssize_t n;

    if (d->verdict < 0)
        return false;
    (void)snprintf(v.text, sizeof v.text, "%s", text);
    n = write(d->verdict, &v, sizeof v);
    (void)n; /* a starter that was killed meanwhile does not matter any more */
    pf_fd_close(&d->verdict);
    return true;
}

void
pf_daemon_forget(struct pf_daemonized *d)
{
    pf_fd_close(&d->verdict);
    pf_fd_close(&d->pid_fd);
    pf_place_close(&d->pid_place);
}

/* Is the file that we have locked still the one at its place? */
static bool
is_our_file(const struct pf_daemonized *d)
{
    struct stat ours;
    struct stat there;

    return fstat(d->pid_fd, &ours) == 0 &&
           fstatat(d->pid_place.directory, d->pid_place.name, &there,
                   AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* Whoever gave up root may not be allowed to remove the file; then it is at least empty. */
bool
pf_daemon_remove_pid(struct pf_daemonized *d)
{
    if (d->pid_fd < 0)
        return true;
    return (is_our_file(d) &&
            unlinkat(d->pid_place.directory, d->pid_place.name, 0) == 0) ||
           ftruncate(d->pid_fd, 0) == 0;
}

void
pf_daemon_finish(struct pf_daemonized *d)
{
    if (!pf_daemon_remove_pid(d))
        pf_log(PREFORK_LOG_WARNING, "pid_file %s stays: %s", d->pid_place.path,
               strerror(errno));
    pf_fd_close(&d->pid_fd);
    pf_place_close(&d->pid_place);
}
