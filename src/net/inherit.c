/* Sockets that a service manager opened before it started us.
 *
 * The protocol is that of sd_listen_fds(3): LISTEN_FDS descriptors from 3 upwards, meant
 * for the process that LISTEN_PID names. The variables are read, removed, and only then
 * acted upon, so that no program started later takes them for its own. Every descriptor is
 * looked at before it is believed; the first that is neither a listening stream socket nor
 * a bound datagram socket ends the start, since it is a mistake in the manager's
 * configuration and serving half of it would hide that.
 *
 * Names (LISTEN_FDNAMES) are not used: a listener is recognised by its address. The manager
 * shares the open socket, so the non-blocking mode set here is seen by it as well. */
#include "net/inherit.h"

#include "base/address.h"
#include "base/text.h"
#include "net/datagram.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FIRST_FD = 3, /* SD_LISTEN_FDS_START */
};

/* Numbers of the two variables; 0 if one is not set. */
struct promise {
    uint64_t pid;
    uint64_t fds;
};

static int
read_variable(const char *name, uint64_t *ret_number, struct pf_error *error)
{
    const char *text = getenv(name);
    int e;

    if (!text)
        return 0;
    e = pf_text_number(text, ret_number);
    if (e < 0)
        return pf_error_set(error, PREFORK_EXIT_CONFIG, -e,
                            "environment variable %s: \"%.80s\" is not a number", name,
                            text);
    return 0;
}

/* The number of descriptors that are meant for this process; untouched if none are. */
static int
read_promise(unsigned *ret_fds, struct pf_error *error)
{
    struct promise p = {0};
    int e = read_variable("LISTEN_PID", &p.pid, error);

    if (e < 0)
        return e;
    if (p.pid != (uint64_t)getpid())
        return 0;
    e = read_variable("LISTEN_FDS", &p.fds, error);
    if (e < 0)
        return e;
    if (p.fds > PF_LISTENERS_MAX)
        return pf_error_set(error, PREFORK_EXIT_CONFIG, ERANGE,
                            "environment variable LISTEN_FDS: %llu sockets, and %d are the "
                            "most",
                            (unsigned long long)p.fds, PF_LISTENERS_MAX);
    *ret_fds = (unsigned)p.fds;
    return 0;
}

static void
forget_variables(void)
{
    (void)unsetenv("LISTEN_PID"); /* fails only for names that are none */
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
}

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
        return "is neither a stream nor a datagram socket (ListenStream= and "
               "ListenDatagram= make them)";
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return "is neither an IP nor a unix socket";
    if (type == SOCK_DGRAM)
        return is_bound(fd) ? NULL : "is not bound (ListenDatagram= makes it so)";
    if (socket_option(fd, SO_ACCEPTCONN) != 1)
        return "does not listen (Accept=no makes it so)";
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

static int
take_over(struct pf_listeners *ls, int fd, struct pf_error *error)
{
    struct pf_listener l = {.fd = fd, .inherited = true};
    const char *fault = find_fault(fd);
    int e;

    if (fault)
        return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL,
                            "LISTEN_FDS: descriptor %d %s", fd, fault);
    e = set_flags(fd);
    if (e == 0)
        e = pf_listener_learn(&l);
    l.proto = find_proto(fd, l.family);
    if (e == 0 && l.proto == PF_PROTO_UDP)
        e = pf_datagram_prepare(fd);
    if (e < 0)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, -e, "LISTEN_FDS: descriptor %d: %s",
                            fd, strerror(-e));
    ls->table[ls->count++] = l;
    return 0;
}

int
pf_inherit_listen_fds(struct pf_listeners *ls, struct pf_error *error)
{
    const unsigned before = ls->count;
    unsigned fds = 0;
    int e = read_promise(&fds, error);

    forget_variables();
    if (e < 0)
        return e;
    if (fds > PF_LISTENERS_MAX - before)
        return pf_error_set(error, PREFORK_EXIT_CONFIG, ENOSPC,
                            "LISTEN_FDS: more than %d listening sockets", PF_LISTENERS_MAX);
    for (unsigned i = 0; i < fds; i++) {
        e = take_over(ls, FIRST_FD + (int)i, error);
        if (e < 0) {
            ls->count = before;
            return e;
        }
    }
    return (int)fds;
}
