/* Datagrams, one by one.
 *
 * A socket that is bound to a wildcard receives what was sent to any address of the
 * machine. An answer must leave from the address that was asked, or the client takes it for
 * somebody else's; left to itself the kernel chooses by route. So such a socket tells the
 * address with each datagram (IP_PKTINFO, IPV6_RECVPKTINFO) and is told it with each
 * answer. A dual-stack socket speaks IPv4 too and gets both options: what arrives by IPv4
 * carries both kinds of information, of which that of IPv4 is used, because it knows our
 * own address also when a broadcast address was asked.
 *
 * A datagram longer than the room is cut by the kernel. MSG_TRUNC makes it tell the real
 * length, so the loss can be told.
 *
 * All other sockets do without: the plain calls are cheaper by a twentieth of all that a
 * small datagram costs. For unix sockets this matters more: descriptors that somebody sends
 * along would be opened here with control data, and stay.
 *
 * Pending errors of a socket (what came back by ICMP) are about datagrams that were sent
 * before. They are dropped. */
#include "net/datagram.h"

#include "net/accept.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>

enum {
    SEND_FLAGS = MSG_NOSIGNAL | MSG_DONTWAIT,
};

/* Control data of one message: either kind of information, or both. */
union control {
    struct cmsghdr header; /* aligned */
    char bytes[CMSG_SPACE(sizeof(struct in_pktinfo)) +
               CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

union bound {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
};

static int
switch_on(int fd, int level, int option)
{
    const int on = 1;

    return setsockopt(fd, level, option, &on, sizeof on) < 0 ? -errno : 0;
}

/* On a socket for IPv6 only, the option of IPv4 has no effect. */
int
pf_datagram_prepare(int fd)
{
    union bound b = {.any.sa_family = AF_UNSPEC};
    socklen_t bytes = sizeof b;
    int r;

    if (getsockname(fd, &b.any, &bytes) < 0)
        return -errno;
    if (b.any.sa_family == AF_INET)
        return b.v4.sin_addr.s_addr == htonl(INADDR_ANY)
                   ? switch_on(fd, IPPROTO_IP, IP_PKTINFO)
                   : 0;
    if (!IN6_IS_ADDR_UNSPECIFIED(&b.v6.sin6_addr))
        return 0;
    r = switch_on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
    return r < 0 ? r : switch_on(fd, IPPROTO_IP, IP_PKTINFO);
}

int
pf_datagram_be_patient(int fd)
{
    const struct timeval patience = {.tv_usec = PF_DATAGRAM_PATIENCE * 1000};

    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ? -errno
                                                                                   : 0;
}

static int
outcome(int errnum)
{
    switch (errnum) {
    case ENOMEM:
    case ENOBUFS: return PF_ACCEPT_E_PAUSE;
    case EBADF:
    case ENOTSOCK:
    case ENOTCONN:
    case EINVAL: return PF_ACCEPT_E_CLOSED;
    default: return PF_ACCEPT_E_NONE;
    }
}

/* Multicast and unknown addresses are nobody's to answer from. */
static void
note_v6(struct pf_datagram *d, struct cmsghdr *c)
{
    memcpy(&d->to_v6, CMSG_DATA(c), sizeof d->to_v6);
    if (d->to_family == AF_UNSPEC && !IN6_IS_ADDR_MULTICAST(&d->to_v6.ipi6_addr) &&
        !IN6_IS_ADDR_V4MAPPED(&d->to_v6.ipi6_addr))
        d->to_family = AF_INET6;
    if (!IN6_IS_ADDR_LINKLOCAL(&d->to_v6.ipi6_addr))
        d->to_v6.ipi6_ifindex = 0; /* the answer goes where the route goes */
}

static void
note_v4(struct pf_datagram *d, struct cmsghdr *c)
{
    memcpy(&d->to_v4, CMSG_DATA(c), sizeof d->to_v4);
    d->to_v4.ipi_ifindex = 0;
    if (d->to_v4.ipi_spec_dst.s_addr != htonl(INADDR_ANY))
        d->to_family = AF_INET;
}

static void
note_address(struct pf_datagram *d, struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
            note_v4(d, c);
        else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
            note_v6(d, c);
    }
}

/* As recvfrom(2). */
static ssize_t
receive_with_address(struct pf_datagram *d, const struct pf_datagram_order *order,
                     int flags, struct sockaddr_storage *peer, socklen_t *peer_bytes)
{
    union control control;
    struct iovec part = {.iov_base = d->bytes, .iov_len = order->room};
    struct msghdr m = {.msg_name = peer,
                       .msg_namelen = *peer_bytes,
                       .msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};
    ssize_t n = recvmsg(order->fd, &m, flags);

    if (n >= 0) {
        *peer_bytes = m.msg_namelen;
        note_address(d, &m);
    }
    return n;
}

int
pf_datagram_receive(struct pf_datagram *d, const struct pf_datagram_order *order,
                    struct sockaddr_storage *ret_peer, socklen_t *ret_peer_bytes,
                    int *ret_errnum)
{
    const int flags = order->flags | MSG_TRUNC | (order->wait ? 0 : MSG_DONTWAIT);
    socklen_t bytes = sizeof *ret_peer;
    ssize_t n;

    d->to_family = AF_UNSPEC;
    n = order->tells ? receive_with_address(d, order, flags, ret_peer, &bytes)
                     : recvfrom(order->fd, d->bytes, order->room, flags,
                                (struct sockaddr *)ret_peer, &bytes);
    if (n < 0) {
        *ret_errnum = errno;
        return outcome(errno);
    }
    d->size = (size_t)n < order->room ? (size_t)n : order->room;
    d->cut = (size_t)n - d->size;
    *ret_peer_bytes = bytes > sizeof(sa_family_t) ? bytes : 0;
    return 0;
}

/* The address to answer from, as control data. */
static void
add_address(const struct pf_datagram *d, struct msghdr *m, union control *control)
{
    bool v4 = d->to_family == AF_INET;
    size_t size = v4 ? sizeof d->to_v4 : sizeof d->to_v6;
    struct cmsghdr *c = &control->header;

    m->msg_control = control;
    m->msg_controllen = CMSG_SPACE(size);
    c->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    c->cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), v4 ? (const void *)&d->to_v4 : (const void *)&d->to_v6, size);
}

/* As sendto(2). */
static ssize_t
send_from_address(const struct pf_datagram *d, int fd, struct sockaddr_storage *peer,
                  socklen_t peer_bytes, const void *bytes, size_t size)
{
    union control control = {.header = {0}};
    struct iovec part = {.iov_len = size};
    struct msghdr m = {
        .msg_name = peer, .msg_namelen = peer_bytes, .msg_iov = &part, .msg_iovlen = 1};

    memcpy(&part.iov_base, &bytes, sizeof bytes); /* it is only read */
    add_address(d, &m, &control);
    return sendmsg(fd, &m, SEND_FLAGS);
}

/* After a failed call: 0 to try again, or the negative errno to return. A full queue of a
 * unix socket is the client's, which poll(2) cannot wait for. */
static int
retry(int fd, const struct sockaddr_storage *peer)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    if (errno == EAGAIN && peer->ss_family != AF_UNIX)
        return poll(&p, 1, -1) < 0 && errno != EINTR ? -errno : 0;
    return errno == EINTR ? 0 : -errno;
}

int
pf_datagram_send(const struct pf_datagram *d, int fd, struct sockaddr_storage *peer,
                 socklen_t peer_bytes, const void *bytes, size_t size)
{
    ssize_t n;
    int r = 0;

    if (peer_bytes == 0)
        return -EDESTADDRREQ;
    do {
        n = d->to_family == AF_UNSPEC
                ? sendto(fd, bytes, size, SEND_FLAGS, (struct sockaddr *)peer, peer_bytes)
                : send_from_address(d, fd, peer, peer_bytes, bytes, size);
        if (n < 0)
            r = retry(fd, peer);
    } while (n < 0 && r == 0);
    return r;
}

socklen_t
pf_datagram_local(const struct pf_datagram *d, struct sockaddr_storage *address,
                  socklen_t address_bytes)
{
    union bound b = {.storage = *address};
    in_port_t port = b.any.sa_family == AF_INET ? b.v4.sin_port : b.v6.sin6_port;

    if (d->to_family == AF_INET) {
        b.v4 = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = port, .sin_addr = d->to_v4.ipi_spec_dst};
        address_bytes = sizeof b.v4;
    } else if (d->to_family == AF_INET6) {
        b.v6.sin6_addr = d->to_v6.ipi6_addr;
        b.v6.sin6_scope_id = d->to_v6.ipi6_ifindex;
    }
    *address = b.storage;
    return address_bytes;
}
