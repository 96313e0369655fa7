/* accept4(2), sorted.
 *
 * Linux reports network errors that were already pending on the new connection as errors
 * of accept (accept(2), "Error handling"): they say nothing of the listener. Being out of
 * descriptors or memory lasts for a while, and the connection stays in the queue where
 * another worker may have more luck; trying at once would spin. Anything else means that
 * the listener is not one any more, as after shutdown(2) in the master. */
#include "net/accept.h"

#include <errno.h>

static int
outcome(int errnum)
{
    switch (errnum) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EPERM: /* a firewall rule forbids this one */ return PF_ACCEPT_E_NONE;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return PF_ACCEPT_E_PAUSE;
    default: return PF_ACCEPT_E_CLOSED;
    }
}

int
pf_accept(int listener, int *ret_fd, struct sockaddr_storage *ret_peer,
          socklen_t *ret_peer_bytes, int *ret_errnum)
{
    socklen_t bytes = sizeof *ret_peer;
    int fd = accept4(listener, (struct sockaddr *)ret_peer, &bytes, SOCK_CLOEXEC);

    if (fd < 0) {
        *ret_errnum = errno;
        return outcome(errno);
    }
    *ret_fd = fd;
    *ret_peer_bytes = bytes;
    return 0;
}
