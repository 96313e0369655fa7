/* The bell. An eventfd counts; nobody here asks for the count. */
#include "os/wake.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int
pf_wake_open(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

void
pf_wake_ring(int fd)
{
    static const uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof one);

    (void)n; /* refused only when it could not get any louder */
}

void
pf_wake_hush(int fd)
{
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof count);

    (void)n; /* refused when it was silent */
}
