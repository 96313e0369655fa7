/* One TCP or UDP socket at one address.
 *
 * IPV6_V6ONLY is always set, to 0 or to 1: the system's default is nobody's wish.
 *
 * SO_REUSEADDR is for TCP only, where it means old connections; on UDP it would let a
 * second server bind the same port and take the first one's datagrams.
 *
 * SO_REUSEPORT is looked at by the kernel when another socket is bound, and again when it
 * begins to listen. The first of several shards asks for it after it was bound, so that it
 * is refused where another server listens; the others join it. A socket that takes the
 * place of one of ours, which is closed later (127.0.0.1:80 becomes *:80), has it while it
 * is made and gives it back.
 *
 * Deliberately absent: which sockets there are to be (net/opening.c). */
#include "net/socket.h"

#include "net/datagram.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

static int
set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

int
pf_socket_share(int fd, bool on)
{
    return set(fd, SOL_SOCKET, SO_REUSEPORT, on);
}

bool
pf_socket_is_shared(int fd)
{
    int value = 0;
    socklen_t size = sizeof value;

    return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, &size) == 0 && value != 0;
}

int
pf_socket_broadcast(int fd, bool on)
{
    return set(fd, SOL_SOCKET, SO_BROADCAST, on);
}

static int
prepare_tcp(int fd, const struct pf_endpoint *endpoint, const struct pf_target *t,
            const struct pf_socket_order *order)
{
    const bool shards = endpoint->shards > 1;
    int e = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);

    if (e == 0 && (order->shard > 0 || order->beside))
        e = pf_socket_share(fd, true);
    if (e == 0 && bind(fd, &t->address.any, t->length) < 0)
        e = -errno;
    if (e == 0 && shards && order->shard == 0)
        e = pf_socket_share(fd, true);
    if (e == 0 && !order->held && listen(fd, endpoint->backlog) < 0)
        e = -errno;
    return e == 0 && order->beside && !shards ? pf_socket_share(fd, false) : e;
}

static int
prepare_udp(int fd, const struct pf_endpoint *endpoint, const struct pf_target *t,
            const struct pf_socket_order *order)
{
    int e = endpoint->broadcast ? pf_socket_broadcast(fd, true) : 0;

    if (e == 0 && order->beside)
        e = pf_socket_share(fd, true);
    if (e == 0 && bind(fd, &t->address.any, t->length) < 0)
        e = -errno;
    if (e == 0 && order->beside)
        e = pf_socket_share(fd, false);
    return e < 0 ? e : pf_datagram_prepare(fd);
}

int
pf_socket_open(const struct pf_endpoint *endpoint, const struct pf_target *t,
               const struct pf_socket_order *order)
{
    const int type = pf_proto_socket_type(endpoint->proto);
    const int family = t->address.any.sa_family;
    int fd =
        socket(family, type | SOCK_CLOEXEC | (type == SOCK_STREAM ? SOCK_NONBLOCK : 0), 0);
    int e = 0;

    if (fd < 0)
        return -errno;
    if (family == AF_INET6)
        e = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, t->v6only);
    if (e == 0)
        e = type == SOCK_DGRAM ? prepare_udp(fd, endpoint, t, order)
                               : prepare_tcp(fd, endpoint, t, order);
    if (e == 0)
        return fd;
    (void)close(fd); /* nothing was written to it */
    return e;
}
