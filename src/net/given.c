/* What a descriptor is that somebody else opened.
 *
 * Whoever hands sockets in (a service manager, Server::Starter, the master before this one)
 * says how many and where; what they are is asked of the kernel, and nothing is believed
 * that was not looked at. Only streams that listen and datagram sockets with an address are
 * taken. The mode that is set here belongs to the open socket: others who have it see it as
 * well.
 *
 * Deliberately absent: reading who promised what (net/inherit.c, net/starter.c). */
#include "net/given.h"

#include "base/address.h"
#include "net/datagram.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

static int
socket_option(int fd, int option)
{
    int value = 0;
    socklen_t size = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -errno : value;
}

/* Does a datagram socket have an address at which somebody could reach it? */
static bool
is_bound(int fd)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    struct sockaddr *any = (struct sockaddr *)&address;
    socklen_t length = sizeof address;
    char name[PF_ADDRESS_TEXT_BYTES];

    if (getsockname(fd, any, &length) < 0)
        return false;
    pf_address_format(any, length, name, sizeof name);
    return any->sa_family == AF_UNIX ? name[0] != '\0' : pf_address_port(any, length) != 0;
}

/* What is wrong with a descriptor, as the end of a sentence; NULL if nothing is. */
static const char *
find_fault(int fd)
{
    int type = socket_option(fd, SO_TYPE);
    int family = socket_option(fd, SO_DOMAIN);

    if (type == -EBADF)
        return "is not open";
    if (type < 0)
        return "is not a socket";
    if (type != SOCK_STREAM && type != SOCK_DGRAM)
        return "is neither a stream nor a datagram socket (systemd: ListenStream=, "
               "ListenDatagram=)";
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return "is neither an IP nor a unix socket";
    if (type == SOCK_DGRAM)
        return is_bound(fd) ? NULL : "is not bound (systemd: ListenDatagram=)";
    if (socket_option(fd, SO_ACCEPTCONN) != 1)
        return "does not listen (systemd: Accept=no)";
    return NULL;
}

static int
set_flags(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    return 0;
}

/* What a socket speaks, as far as the kernel knows. */
static enum pf_proto
find_proto(int fd, int family)
{
    bool datagrams = socket_option(fd, SO_TYPE) == SOCK_DGRAM;

    if (family == AF_UNIX)
        return datagrams ? PF_PROTO_UNIXDGRAM : PF_PROTO_UNIX;
    return datagrams ? PF_PROTO_UDP : PF_PROTO_TCP;
}

int
pf_given_learn(struct pf_listener *l, const char *from, struct pf_error *error)
{
    const char *fault = find_fault(l->fd);
    int e;

    if (fault)
        return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL, "%s: descriptor %d %s",
                            from, l->fd, fault);
    e = set_flags(l->fd);
    if (e == 0)
        e = pf_listener_learn(l);
    l->proto = find_proto(l->fd, l->family);
    if (e == 0 && l->proto == PF_PROTO_UDP)
        e = pf_datagram_prepare(l->fd);
    return e < 0 ? pf_error_set(error, PREFORK_EXIT_SYSTEM, -e, "%s: descriptor %d: %s",
                                from, l->fd, strerror(-e))
                 : 0;
}
