/* Who may be signalled because of a pid file?
 *
 * A number in a file proves nothing: its process may have died, the number may belong to
 * somebody else by now, and the file may be anybody's. A server of prefork locks its pid
 * file for as long as it lives (master/daemon.c), and the kernel says who took that lock.
 * So the order is:
 *
 *   a descriptor for the process of that number (pidfd_open(2)): from here on the number
 *   cannot come to mean another one unseen
 *   the lock of the file, which has to be that process's
 *   a look whether the process still lives: then both were about the same one
 *
 * Only then it is signalled, through that descriptor, which also tells its end.
 *
 * A lock that nobody seems to hold may be one of a process that cannot be seen from here (a
 * server in a container whose files are ours). Then, and only then, it is tried for a
 * moment; a server that starts in this very moment tries again (master/daemon.c). The same
 * holds for the removal of a file that was left behind: whoever has the lock, and finds in
 * the file the number of the process he has seen die, removes nobody's. */
#include "control/running.h"

#include "os/clock.h"
#include "os/fd.h"
#include "os/pidfile.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define KILL_PATIENCE (5 * PF_SECOND)

/* ---- what a file is about --------------------------------------------------------------
 */

static int
say_unreadable(const char *path, int r, struct pf_text *what)
{
    const char *why = NULL;

    switch (-r) {
    case ENOENT:
        pf_text_add(what, "pid file %s is not there: no server runs with it", path);
        return PREFORK_PIDFILE_NONE;
    case ELOOP: why = "a symbolic link; name the real path"; break;
    case EISDIR: why = "a directory; name the file in it"; break;
    case ENOTSUP: why = "no regular file; name the pid_file of the server"; break;
    default: break;
    }
    if (why) {
        pf_text_add(what, "pid file %s is %s", path, why);
        return PREFORK_PIDFILE_FOREIGN;
    }
    pf_text_add(what, "pid file %s cannot be read: %s%s", path, strerror(-r),
                r == -EACCES ? "; be its owner or root" : "");
    return r;
}

/* Nobody has it locked. */
static int
say_free(const char *path, int content, const struct pf_process *named,
         struct pf_text *what)
{
    switch (content) {
    case 0:
        pf_text_add(what, "pid file %s is stale: process %d %s; a start will not mind it",
                    path, (int)named->pid,
                    named->pidfd < 0 || pf_process_ends_by(named, 0)
                        ? "is gone"
                        : "does not hold its lock and is another one");
        return PREFORK_PIDFILE_STALE;
    case PF_PIDFILE_EMPTY:
        pf_text_add(what, "pid file %s is empty: no server runs with it", path);
        return PREFORK_PIDFILE_NONE;
    default:
        pf_text_add(what,
                    "pid file %s is not one of prefork: one process id and a newline are "
                    "expected; is the path right?",
                    path);
        return PREFORK_PIDFILE_FOREIGN;
    }
}

static int
say_taken(const char *path, int content, const struct pf_process *named, pid_t holder,
          struct pf_text *what)
{
    if (content == PF_PIDFILE_GARBAGE)
        return say_free(path, content, named, what);
    if (holder == 0)
        pf_text_add(
            what,
            "pid file %s is locked by a process that cannot be seen from here; stop "
            "the server in the container it runs in",
            path);
    else if (content == PF_PIDFILE_EMPTY)
        pf_text_add(
            what,
            "pid file %s is empty and locked by process %d, which is about to start "
            "or to end; try again",
            path, (int)holder);
    else
        pf_text_add(what,
                    "pid file %s names process %d, but its lock is that of process %d; a "
                    "server in a container has to be stopped in there",
                    path, (int)named->pid, (int)holder);
    return PREFORK_PIDFILE_TAKEN;
}

/* Nobody that can be seen holds the lock. */
static bool
is_free(int fd)
{
    if (flock(fd, LOCK_SH | LOCK_NB) < 0)
        return false;
    (void)flock(fd, LOCK_UN);
    return true;
}

/* The process was opened before its lock was looked up, and lives: they are the same. */
static int
judge(const char *path, int fd, const struct pf_process *named, int content,
      struct pf_text *what)
{
    pid_t holder = 0;
    int r = pf_pidfile_holder(fd, &holder);

    if (holder == 0 && is_free(fd))
        return say_free(path, content, named, what);
    if (r < 0) {
        pf_text_add(what, "pid file %s: who has it locked cannot be known: /proc/locks: %s",
                    path, strerror(-r));
        return r;
    }
    if (content != 0 || holder != named->pid)
        return say_taken(path, content, named, holder, what);
    if (named->pidfd < 0 || pf_process_ends_by(named, 0)) {
        pf_text_add(what,
                    "pid file %s is that of process %d, which is gone; a child of it still "
                    "has the lock and has to be ended first",
                    path, (int)holder);
        return PREFORK_PIDFILE_TAKEN;
    }
    pf_text_add(what, "process %d runs with pid file %s", (int)holder, path);
    return PREFORK_PIDFILE_RUNNING;
}

static int
examine(const char *path, int fd, struct pf_process *named, struct pf_text *what)
{
    int content = pf_pidfile_read(fd, &named->pid);

    if (content < 0)
        return say_unreadable(path, content, what);
    if (content == 0)
        named->pidfd = pf_process_watch(named->pid);
    return judge(path, fd, named, content, what);
}

int
pf_running_find(const char *path, struct pf_process *ret_server, struct pf_text *what)
{
    struct pf_process named = {.pidfd = -1};
    int fd = pf_pidfile_open(path);
    int r;

    if (fd < 0)
        return say_unreadable(path, fd, what);
    r = examine(path, fd, &named, what);
    pf_fd_close(&fd);
    if (r == PREFORK_PIDFILE_RUNNING)
        *ret_server = named;
    else
        pf_fd_close(&named.pidfd);
    return r;
}

/* ---- stopping it ---------------------------------------------------------------------
 */

static bool
is_at(const char *path, int fd)
{
    struct stat ours;
    struct stat there;

    return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* What a server leaves behind that was killed, or may not remove its file. Whether it can
 * be removed does not matter: it is no obstacle to anybody. */
static void
tidy(const char *path, pid_t dead)
{
    int fd = pf_pidfile_open(path);
    pid_t named = 0;

    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && pf_pidfile_read(fd, &named) == 0 &&
        named == dead && is_at(path, fd))
        (void)unlink(path);
    pf_fd_close(&fd);
}

/* Send it and wait: 0, or a negative errno; -ETIMEDOUT: it still lives. */
static int
end_by(const struct pf_process *server, int signum, pf_time patience)
{
    int r = pf_process_signal_alone(server, signum);

    if (r == -ESRCH)
        return 0;
    if (r < 0)
        return r;
    return pf_process_ends_by(server, pf_time_after(pf_clock_now(), patience)) ? 0
                                                                               : -ETIMEDOUT;
}

static int
stop(const struct pf_process *server, bool graceful, pf_time timeout, struct pf_text *what)
{
    int r = end_by(server, graceful ? SIGQUIT : SIGTERM, timeout);
    int pid = (int)server->pid;

    if (r == 0) {
        pf_text_add(what, "process %d has stopped", pid);
    } else if (r == -ETIMEDOUT) {
        r = end_by(server, SIGKILL, KILL_PATIENCE);
        pf_text_add(what, "process %d did not stop in time and %s", pid,
                    r == 0 ? "was killed" : "cannot be killed: is it waiting for a disk?");
    } else {
        pf_text_add(what,
                    "process %d runs, but may not be signalled: %s; be its user or root",
                    pid, strerror(-r));
    }
    return r;
}

int
pf_running_stop(const char *path, bool graceful, pf_time timeout, struct pf_text *what)
{
    struct pf_process server;
    int r = pf_running_find(path, &server, what);

    if (r != PREFORK_PIDFILE_RUNNING)
        return r;
    pf_text_init(what, what->bytes, what->capacity);
    r = stop(&server, graceful, timeout, what);
    if (r == 0)
        tidy(path, server.pid);
    pf_fd_close(&server.pidfd);
    return r;
}
