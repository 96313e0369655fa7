/* Processes.
 *
 * A child's number is its own until it is reaped, so a signal cannot hit a stranger that
 * got the same one. Who is not our child, or is to be waited for alone, is named by a
 * pidfd. pidfd_open(2) after fork(2) is safe because nobody reaps in between, and it cannot
 * fail for want of a descriptor because one is kept in reserve over the fork. Workers have
 * none: each descriptor of a master is copied by each fork (docs/notes/0013). fork(2)
 * itself is used, and not clone3(2), because libc and the program need their fork handlers
 * run.
 *
 * Signals go to the worker's process group, so that what a handler started ends with its
 * worker. A group exists as long as any of its members, and its number is not given to a
 * new process meanwhile; the worker is its unreaped leader.
 *
 * Orphans: pf_process_adopt_orphans() makes this process the reaper of its descendants
 * (PR_SET_CHILD_SUBREAPER). Only a master that runs programs does that; a program of
 * somebody else's that merely links the library keeps its children to itself. */
#include "os/process.h"

#include "base/attr.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/signal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* /proc in a process whose root directory has none; -1: there is one. */
static int kept_proc PF_PER_WORKER = -1;

void
pf_process_abandon(struct pf_process *child)
{
    (void)kill(child->pid, SIGKILL);
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    pf_fd_close(&child->pidfd);
}

int
pf_process_fork(struct pf_process *ret_child)
{
    pid_t pid = fork();

    if (pid <= 0)
        return pid < 0 ? -errno : 0;
    *ret_child = (struct pf_process){.pid = pid, .pidfd = -1};
    return 1;
}

int
pf_process_fork_watched(struct pf_process *ret_child)
{
    int reserve = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    struct pf_process child = {.pidfd = -1};
    int r;

    if (reserve < 0 && errno == EMFILE)
        return -EMFILE;
    r = pf_process_fork(&child);
    pf_fd_close(&reserve);
    if (r <= 0)
        return r;
    child.pidfd = pidfd_open(child.pid, 0);
    if (child.pidfd < 0) {
        int errnum = errno;
        pf_process_abandon(&child); /* what cannot be watched must not live */
        return -errnum;
    }
    *ret_child = child;
    return 1;
}

void
pf_process_signal(const struct pf_process *p, int signum)
{
    if (kill(-p->pid, signum) < 0)
        (void)pf_process_signal_alone(p, signum); /* already ended: fine */
}

int
pf_process_signal_alone(const struct pf_process *p, int signum)
{
    int r =
        p->pidfd < 0 ? kill(p->pid, signum) : pidfd_send_signal(p->pidfd, signum, NULL, 0);

    return r < 0 ? -errno : 0;
}

bool
pf_process_minds_signal(const struct pf_process *p, int signum)
{
    unsigned long long set = 0;
    char line[256];
    char path[64];
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
    f = fopen(path, "re");
    if (!f)
        return false;
    while (fgets(line, sizeof line, f)) {
        if (pf_text_begins(line, "SigBlk:") || pf_text_begins(line, "SigIgn:") ||
            pf_text_begins(line, "SigCgt:"))
            set |= strtoull(line + strlen("SigBlk:"), NULL, 16);
    }
    (void)fclose(f);
    return set >> (signum - 1) & 1;
}

static bool
is_readable_by(int fd, pf_time deadline)
{
    struct pollfd end = {.fd = fd, .events = POLLIN};
    int timeout;
    int n;

    do {
        timeout = pf_clock_milliseconds_until(deadline);
        n = poll(&end, 1, timeout);
    } while (n < 0 ? errno == EINTR : n == 0 && timeout == INT_MAX);
    return n > 0;
}

bool
pf_process_ends_by(const struct pf_process *p, pf_time deadline)
{
    int pidfd = p->pidfd < 0 ? pidfd_open(p->pid, 0) : p->pidfd;
    bool ended;

    if (pidfd < 0)
        return errno == ESRCH;
    ended = is_readable_by(pidfd, deadline);
    if (pidfd != p->pidfd)
        pf_fd_close(&pidfd);
    return ended;
}

/* Its end is all that can be seen of it. */
static int
let_go(struct pf_process *p, int *ret_wait_status)
{
    if (!pf_process_ends_by(p, 0))
        return -EAGAIN;
    pf_fd_close(&p->pidfd);
    *ret_wait_status = 0;
    return 0;
}

int
pf_process_reap(struct pf_process *p, int *ret_wait_status)
{
    int status;
    pid_t pid;

    if (p->adopted)
        return let_go(p, ret_wait_status);
    do
        pid = waitpid(p->pid, &status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid == 0)
        return -EAGAIN;
    if (pid < 0)
        status = 0; /* somebody else reaped it: ended, how is not known */
    pf_fd_close(&p->pidfd);
    *ret_wait_status = status;
    return 0;
}

#ifdef PF_COVERAGE
extern void __gcov_dump(void);
#else
#define __gcov_dump() ((void)0)
#endif

PF_NORETURN void
pf_process_exit(int status)
{
    __gcov_dump(); /* _exit(2) leaves no counters behind */
    _exit(status);
}

void
pf_process_lead_group(void)
{
    (void)setpgid(0, 0); /* fails only for a session leader, which leads a group already */
}

void
pf_process_die_with_parent(int signum, pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, (unsigned long)signum);
    if (getppid() != parent)
        (void)raise(signum); /* it died before we asked */
}

void
pf_process_outlive_parent(void)
{
    (void)prctl(PR_SET_PDEATHSIG, 0UL);
}

int
pf_process_adopt_orphans(void)
{
    return prctl(PR_SET_CHILD_SUBREAPER, 1UL) < 0 ? -errno : 0;
}

int
pf_process_has_ended(const struct pf_process *p)
{
    siginfo_t info = {.si_pid = 0};

    if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
        return -ECHILD;
    return info.si_pid != 0;
}

pid_t
pf_process_ended(void)
{
    siginfo_t info = {.si_pid = 0};

    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
        return 0;
    return info.si_pid;
}

bool
pf_process_reap_children(void)
{
    pid_t pid;

    do
        pid = waitpid(-1, NULL, WNOHANG);
    while (pid > 0 || (pid < 0 && errno == EINTR));
    return pid == 0;
}

int
pf_process_keep_proc(void)
{
    kept_proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return kept_proc < 0 ? -errno : 0;
}

void
pf_process_leave_proc(void)
{
    pf_fd_close(&kept_proc);
}

/* Opened anew so that it is read from its beginning. */
DIR *
pf_process_open_proc(const char *path)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    int root = kept_proc < 0 ? open("/proc", flags) : kept_proc;
    int fd = root < 0 ? -1 : openat(root, path, flags);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    int errnum = errno;

    if (!directory)
        pf_fd_close(&fd);
    if (root != kept_proc)
        pf_fd_close(&root);
    errno = errnum;
    return directory;
}

/* Field number n (from 3) of /proc/PID/stat as a number; 0 if that cannot be read. The name
 * in parentheses may contain anything, so the fields are counted from the last ')'. */
static uint64_t
stat_field(int proc_fd, const char *pid, unsigned n)
{
    char path[64];
    char line[1024];
    const char *field;
    ssize_t bytes;
    int fd;

    (void)snprintf(path, sizeof path, "%.16s/stat", pid);
    fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    bytes = read(fd, line, sizeof line - 1);
    (void)close(fd);
    if (bytes <= 0)
        return 0;
    line[bytes] = '\0';
    field = strrchr(line, ')');
    for (unsigned at = 2; field && at < n; at++)
        field = strchr(field + 1, ' ');
    return field ? strtoull(field + 1, NULL, 10) : 0;
}

enum {
    STAT_PARENT = 4,
    STAT_START = 22,
};

uint64_t
pf_process_start_time(pid_t pid)
{
    DIR *proc = pf_process_open_proc(".");
    char number[16];
    uint64_t start;

    if (!proc)
        return 0;
    (void)snprintf(number, sizeof number, "%d", (int)pid);
    start = stat_field(dirfd(proc), number, STAT_START);
    (void)closedir(proc);
    return start;
}

/* The pidfd first: what is read after it is about the process that it names, or that one
 * has ended, which the pidfd then says. */
int
pf_process_adopt(pid_t pid, uint64_t start_time, struct pf_process *ret_process)
{
    struct pf_process p = {.pid = pid, .pidfd = pidfd_open(pid, 0), .adopted = true};

    if (p.pidfd < 0)
        return errno == EINVAL ? -ESRCH : -errno; /* EINVAL: the number of a thread */
    if (start_time == 0 || pf_process_start_time(pid) != start_time ||
        pf_process_ends_by(&p, 0)) {
        pf_fd_close(&p.pidfd);
        return -ESRCH;
    }
    *ret_process = p;
    return 0;
}

unsigned
pf_process_signal_orphans(int signum, bool (*is_ours)(void *context, pid_t pid),
                          void *context)
{
    DIR *proc = pf_process_open_proc(".");
    struct dirent *entry;
    unsigned count = 0;

    if (!proc)
        return 0;
    while ((entry = readdir(proc))) {
        pid_t pid;
        if (!isdigit((unsigned char)entry->d_name[0]) ||
            (pid_t)stat_field(dirfd(proc), entry->d_name, STAT_PARENT) != getpid())
            continue;
        pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (is_ours(context, pid))
            continue;
        count++;
        (void)kill(pid, signum);
    }
    (void)closedir(proc);
    return count;
}

int
pf_process_watch(pid_t pid)
{
    return pidfd_open(pid, 0); /* close-on-exec by itself */
}

unsigned
pf_process_processors(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1; /* more processors than the set has room for, or a filter */
    return (unsigned)CPU_COUNT(&set);
}
