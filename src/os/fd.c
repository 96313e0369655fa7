/* Small facts about descriptors.
 *
 * Two pieces of state. One is the limit on descriptors that the process was started with:
 * the master raises its own, and programs that it starts must find the one their operator
 * set (some allocate tables by it, some use select(2)). The other is the null device, kept
 * for a process whose root directory has none. */
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rlimit limit_at_start;
static bool limit_raised;
static int kept_null = -1;

void
pf_fd_close(int *fd)
{
    if (*fd < 0)
        return;       /* also: its page stays shared */
    (void)close(*fd); /* nothing is lost: these are no files */
    *fd = -1;
}

int
pf_fd_set_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

int
pf_fd_set_cloexec(int fd, bool on)
{
    return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

int
pf_fd_open_null(void)
{
    int fd = kept_null < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC)
                           : fcntl(kept_null, F_DUPFD_CLOEXEC, 0);

    return fd < 0 ? -errno : fd;
}

int
pf_fd_keep_null(void)
{
    int fd = pf_fd_open_null();

    if (fd < 0)
        return fd;
    pf_fd_close(&kept_null);
    kept_null = fd;
    return 0;
}

void
pf_fd_fill_stdio(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR); /* NOLINT(android-cloexec-open): the lowest free
                                           number, and standard descriptors stay open */
    while (fd >= 0 && fd <= STDERR_FILENO);
    pf_fd_close(&fd);
}

void
pf_fd_limit_raise(void)
{
    struct rlimit raised;

    if (!limit_raised && getrlimit(RLIMIT_NOFILE, &limit_at_start) < 0)
        return;
    raised = limit_at_start;
    raised.rlim_cur = raised.rlim_max;
    limit_raised |= setrlimit(RLIMIT_NOFILE, &raised) == 0;
}

void
pf_fd_limit_restore(void)
{
    if (limit_raised)
        (void)setrlimit(RLIMIT_NOFILE, &limit_at_start); /* lowering cannot fail */
}

unsigned
pf_fd_limit(void)
{
    struct rlimit now;

    if (getrlimit(RLIMIT_NOFILE, &now) < 0)
        return 0;
    return now.rlim_cur > INT_MAX ? INT_MAX : (unsigned)now.rlim_cur;
}

void
pf_fd_limit_at_start(uint64_t *ret_soft, uint64_t *ret_hard)
{
    if (!limit_raised)
        (void)getrlimit(RLIMIT_NOFILE, &limit_at_start); /* cannot fail */
    *ret_soft = limit_at_start.rlim_cur;
    *ret_hard = limit_at_start.rlim_max;
}

void
pf_fd_limit_adopt(uint64_t soft, uint64_t hard)
{
    limit_at_start = (struct rlimit){.rlim_cur = soft, .rlim_max = hard};
    limit_raised = true;
}

void
pf_fd_null_stdio(void)
{
    int fd = pf_fd_open_null();

    (void)dup2(fd, STDIN_FILENO); /* fails only if there was no null device */
    (void)dup2(fd, STDOUT_FILENO);
    pf_fd_close(&fd);
}

void
pf_fd_spare_client(void)
{
    struct stat in;
    struct stat log;
    int fd;

    if (fstat(STDIN_FILENO, &in) < 0 || fstat(STDERR_FILENO, &log) < 0 ||
        !S_ISSOCK(in.st_mode) || in.st_dev != log.st_dev || in.st_ino != log.st_ino)
        return;
    fd = pf_fd_open_null();
    (void)dup2(fd, STDERR_FILENO);
    pf_fd_close(&fd);
}
