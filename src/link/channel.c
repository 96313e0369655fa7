/* The channel: sending and receiving single records.
 *
 * Neither side ever waits for the other. A worker that does not read its channel can at
 * most miss to be asked; the ladder of the shutdown does not depend on it. */
#include "link/channel.h"

#include <errno.h>
#include <sys/socket.h>

int
pf_channel_open(int *ret_master_end, int *ret_worker_end)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    *ret_master_end = ends[0];
    *ret_worker_end = ends[1];
    return 0;
}

int
pf_channel_send(int fd, enum pf_message_kind kind, int errnum)
{
    struct pf_message message = {.kind = kind, .errnum = errnum};
    ssize_t n;

    do
        n = send(fd, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

static bool
is_known(const struct pf_message *message)
{
    return message->kind >= PF_MESSAGE_LEAVE && message->kind <= PF_MESSAGE_INIT_FAILED;
}

int
pf_channel_receive(int fd, struct pf_message *ret_message)
{
    struct pf_message message;
    ssize_t n;

    do
        n = recv(fd, &message, sizeof message, MSG_DONTWAIT | MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return -EPIPE;
    if (n < 0)
        return -errno;
    if (n != (ssize_t)sizeof message || !is_known(&message))
        return -EBADMSG;
    *ret_message = message;
    return 0;
}
