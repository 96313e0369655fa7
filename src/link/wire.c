/* A stream socket pair, and what can be known of it without taking anything from it. */
#include "link/wire.h"

#include "os/fd.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int
pf_wire_open(int *ret_master_end, int *ret_worker_end)
{
    int ends[2];
    int r;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    r = pf_fd_set_nonblock(ends[0], true);
    if (r < 0) {
        pf_fd_close(&ends[0]);
        pf_fd_close(&ends[1]);
        return r;
    }
    *ret_master_end = ends[0];
    *ret_worker_end = ends[1];
    return 0;
}

int
pf_wire_unread(int fd)
{
    int bytes = 0;

    return ioctl(fd, FIONREAD, &bytes) < 0 ? 0 : bytes;
}

bool
pf_wire_is_over(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}
