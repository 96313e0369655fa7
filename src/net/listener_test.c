/* Real sockets on the loopback and in a directory of their own; a resolver and a kernel
 * without IPv6 are played by the functions at the top, which stand before those of libc. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "net/listener.h"
#include <prefork/prefork.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- the world, where it has to misbehave ---------------------------------------------
 */

static struct {
    int socket_error;     /* what socket(AF_INET6) says; 0: the truth */
    int bind_error;       /* what bind says */
    int bind_family;      /* for addresses of this family */
    const char *resolved; /* what "many.test" is: literals with blanks between */
} world;

int
socket(int domain, int type, int protocol)
{
    if (domain == AF_INET6 && world.socket_error != 0) {
        errno = world.socket_error;
        return -1;
    }
    return (int)syscall(SYS_socket, domain, type, protocol);
}

int
bind(int fd, __CONST_SOCKADDR_ARG address, socklen_t length)
{
    const struct sockaddr *a = address.__sockaddr__;

    if (world.bind_error != 0 && a->sa_family == world.bind_family) {
        errno = world.bind_error;
        return -1;
    }
    return (int)syscall(SYS_bind, fd, a, length);
}

typedef int resolver(const char *, const char *, const struct addrinfo *,
                     struct addrinfo **);

static int
resolve_many(resolver *real, const struct addrinfo *hints, struct addrinfo **ret_list)
{
    struct addrinfo **end = ret_list;
    char words[256];
    char *rest = words;
    char *word;

    *ret_list = NULL;
    (void)snprintf(words, sizeof words, "%s", world.resolved);
    while ((word = strsep(&rest, " "))) {
        if (real(word, NULL, hints, end) != 0)
            continue; /* of the other family */
        while (*end)
            end = &(*end)->ai_next;
    }
    return *ret_list ? 0 : EAI_NONAME;
}

int
getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
            struct addrinfo **ret_list)
{
    static resolver *real;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (host && strcmp(host, "none.test") == 0)
        return EAI_NONAME;
    if (host && strcmp(host, "later.test") == 0)
        return EAI_AGAIN;
    if (host && strcmp(host, "many.test") == 0)
        return resolve_many(real, hints, ret_list);
    return real(host, service, hints, ret_list);
}

/* ---- helpers --------------------------------------------------------------------------
 */

static struct pf_listeners ls;
static struct pf_error error;
static char notes[1000];
static char directory[] = "/tmp/prefork-listener-XXXXXX";

static void
note(void *context, const char *text)
{
    size_t n = strlen(notes);

    assert_ptr_equal(context, &ls);
    (void)snprintf(notes + n, sizeof notes - n, "%s\n", text);
}

static struct pf_endpoint
tcp(const char *host, const char *port, unsigned ipv)
{
    struct pf_endpoint e = {.proto = PF_PROTO_TCP, .ipv = ipv, .backlog = 16};

    (void)snprintf(e.host, sizeof e.host, "%s", host);
    (void)snprintf(e.port, sizeof e.port, "%s", port);
    return e;
}

static struct pf_endpoint
udp(const char *host, const char *port, unsigned ipv)
{
    struct pf_endpoint e = tcp(host, port, ipv);

    e.proto = PF_PROTO_UDP;
    return e;
}

static struct pf_endpoint
unix_at(const char *name)
{
    struct pf_endpoint e = {.proto = PF_PROTO_UNIX,
                            .host = "*",
                            .backlog = 16,
                            .owner = (uid_t)-1,
                            .group = (gid_t)-1};

    (void)snprintf(e.port, sizeof e.port, "%s/%s", directory, name);
    return e;
}

static int
try_open(struct pf_endpoint e)
{
    memset(&error, 0, sizeof error);
    return pf_listeners_open(&ls, &e, note, &ls, &error);
}

static void
must_open(struct pf_endpoint e)
{
    if (try_open(e) != 0)
        fail_msg("not opened: %s", error.text);
}

static void
must_refuse(struct pf_endpoint e, int errnum, int exit_code, const char *sentence)
{
    unsigned before = ls.count;

    assert_int_equal(try_open(e), -errnum);
    if (!strstr(error.text, sentence))
        fail_msg("\"%s\" is not in \"%s\"", sentence, error.text);
    assert_int_equal(error.exit_code, exit_code);
    assert_int_equal(ls.count, before);
}

static const char *
port_of(unsigned i)
{
    static char text[16];

    (void)snprintf(text, sizeof text, "%u", pf_listener_port(&ls.table[i]));
    return text;
}

static bool
have_ipv6(void)
{
    const struct sockaddr_in6 loopback = {.sin6_family = AF_INET6,
                                          .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && bind(fd, (const void *)&loopback, sizeof loopback) == 0;

    if (fd >= 0)
        (void)close(fd);
    return yes;
}

static int
connect_to(const struct pf_listener *l)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    int fd = socket(l->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(getsockname(l->fd, (void *)&a, &n), 0);
    if (connect(fd, (void *)&a, n) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static int
lowest_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)close(fd);
    return fd;
}

static int
begin(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    notes[0] = '\0';
    ls.count = 0;
    (void)strcpy(strrchr(directory, '-'), "-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

/* Everything must be gone: a test that leaves a path behind fails here. */
static int
end(void **state)
{
    (void)state;
    pf_listeners_shut(&ls);
    pf_listeners_close(&ls);
    return rmdir(directory);
}

/* ---- TCP ------------------------------------------------------------------------------
 */

static void
opens_a_literal(void **state)
{
    char text[64];

    (void)state;
    must_open(tcp("127.0.0.1", "0", PF_IPV_4));
    assert_int_equal(ls.count, 1);
    assert_int_equal(ls.table[0].family, AF_INET);
    assert_int_not_equal(pf_listener_port(&ls.table[0]), 0);
    (void)snprintf(text, sizeof text, "127.0.0.1:%s", port_of(0));
    assert_string_equal(ls.table[0].address, text);
    assert_true(fcntl(ls.table[0].fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(ls.table[0].fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(accept(ls.table[0].fd, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
}

static void
opens_one_dual_stack_socket(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd;

    (void)state;
    if (!have_ipv6())
        skip();
    must_open(tcp("*", "0", PF_IPV_ANY));
    assert_int_equal(ls.count, 1);
    assert_int_equal(ls.table[0].family, AF_INET6);
    assert_false(ls.table[0].v6only);
    a.sin_port = htons((in_port_t)pf_listener_port(&ls.table[0]));
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (void *)&a, sizeof a), 0);
    (void)close(fd);
}

static void
opens_both_versions_on_one_port(void **state)
{
    (void)state;
    if (!have_ipv6())
        skip();
    must_open(tcp("*", "0", PF_IPV_4 | PF_IPV_6));
    assert_int_equal(ls.count, 2);
    assert_int_equal(ls.table[0].family, AF_INET6);
    assert_true(ls.table[0].v6only);
    assert_int_equal(ls.table[1].family, AF_INET);
    assert_int_equal(pf_listener_port(&ls.table[0]), pf_listener_port(&ls.table[1]));
    must_open(tcp("*", "0", PF_IPV_6));
    assert_true(ls.table[2].v6only);
    must_open(tcp("::", "0", PF_IPV_6));
    assert_true(ls.table[3].v6only);
}

static void
falls_back_to_ipv4(void **state)
{
    static const int errors[] = {EAFNOSUPPORT, EADDRNOTAVAIL, EINVAL};

    (void)state;
    for (unsigned i = 0; i < PF_COUNT(errors); i++) {
        world.socket_error = errors[i];
        must_open(tcp("*", "0", PF_IPV_ANY));
        assert_int_equal(ls.count, i + 1);
        assert_int_equal(ls.table[i].family, AF_INET);
    }
    world.socket_error = 0;
    world.bind_family = AF_INET6;
    world.bind_error = EADDRNOTAVAIL;
    must_open(tcp("*", "0", PF_IPV_ANY));
    assert_int_equal(ls.count, 4);
    assert_non_null(strstr(notes, "no IPv6 here: listening on 0.0.0.0:0 only\n"));
    world.socket_error = EAFNOSUPPORT;
    must_refuse(tcp("*", "0", PF_IPV_6), EAFNOSUPPORT, PREFORK_EXIT_SYSTEM, "port 0 on ::");
}

static void
opens_each_address_of_a_name(void **state)
{
    (void)state;
    world.resolved = "127.0.0.1 127.0.0.2 127.0.0.1";
    must_open(tcp("many.test", "0", PF_IPV_ANY));
    assert_int_equal(ls.count, 2);
    assert_int_equal(pf_listener_port(&ls.table[0]), pf_listener_port(&ls.table[1]));
    assert_non_null(strstr(ls.table[1].address, "127.0.0.2:"));
    assert_string_equal(notes, "");
}

static void
takes_ipv6_first_if_versions_are_named(void **state)
{
    (void)state;
    if (!have_ipv6())
        skip();
    world.resolved = "127.0.0.1 ::1";
    must_open(tcp("many.test", "0", PF_IPV_4 | PF_IPV_6));
    assert_int_equal(ls.count, 2);
    assert_int_equal(ls.table[0].family, AF_INET6);
    must_open(tcp("many.test", "0", PF_IPV_4));
    assert_int_equal(ls.count, 3);
    assert_int_equal(ls.table[2].family, AF_INET);
    world.resolved = "127.0.0.1";
    must_refuse(tcp("many.test", "0", PF_IPV_4 | PF_IPV_6), ENOENT, PREFORK_EXIT_CONFIG,
                "does not resolve to an IPv6 address");
}

static void
skips_ipv6_of_a_name_where_there_is_none(void **state)
{
    (void)state;
    world.resolved = "::1 127.0.0.1";
    world.socket_error = EAFNOSUPPORT;
    must_open(tcp("many.test", "0", PF_IPV_ANY));
    assert_int_equal(ls.count, 1);
    assert_int_equal(ls.table[0].family, AF_INET);
    assert_string_equal(notes, "no IPv6 here: not listening on [::1]:0\n");
    world.resolved = "::1";
    must_refuse(tcp("many.test", "0", PF_IPV_ANY), EAFNOSUPPORT, PREFORK_EXIT_SYSTEM,
                "no such IP version");
}

static void
skips_what_it_listens_on(void **state)
{
    (void)state;
    must_open(tcp("127.0.0.1", "0", PF_IPV_4));
    must_open(tcp("127.0.0.1", port_of(0), PF_IPV_4));
    assert_int_equal(ls.count, 1);
    assert_non_null(strstr(notes, "is named twice: one socket serves both"));
    notes[0] = '\0';
    must_open(tcp("127.0.0.1", "0", PF_IPV_4));
    assert_int_equal(ls.count, 2);
    assert_string_equal(notes, "");
    must_open(tcp("*", "0", PF_IPV_ANY));
    must_open(tcp("*", port_of(2), PF_IPV_4));
    assert_int_equal(ls.count, 3);
    must_refuse(tcp("127.0.0.1", port_of(2), PF_IPV_4), EADDRINUSE, PREFORK_EXIT_CONFIG,
                "this server already listens on");
}

static void
uses_an_inherited_socket(void **state)
{
    (void)state;
    must_open(tcp("127.0.0.1", "0", PF_IPV_4));
    must_open(tcp("*", "0", PF_IPV_4));
    ls.table[0].inherited = true;
    ls.table[1].inherited = true;
    must_open(tcp("127.0.0.1", port_of(0), PF_IPV_4));
    must_open(tcp("*", port_of(1), PF_IPV_ANY));
    assert_int_equal(ls.count, 2);
    assert_string_equal(notes, "");
    pf_listeners_shut(&ls);
    for (unsigned i = 0; i < 2; i++) {
        int fd = connect_to(&ls.table[i]);
        assert_true(fd >= 0);
        (void)close(fd);
        ls.table[i].inherited = false;
    }
}

static void
names_what_is_wrong_with_tcp(void **state)
{
    const char *port;
    int outsider;

    (void)state;
    must_refuse(tcp("none.test", "80", PF_IPV_ANY), ENOENT, PREFORK_EXIT_CONFIG,
                "host \"none.test\" does not resolve to an IP address");
    must_refuse(tcp("later.test", "80", PF_IPV_ANY), EAGAIN, PREFORK_EXIT_SYSTEM,
                "host \"later.test\" cannot be looked up now");
    must_refuse(tcp("*", "no-such-service", PF_IPV_ANY), ENOENT, PREFORK_EXIT_CONFIG,
                "port \"no-such-service\": no such service");
    must_refuse(tcp("192.0.2.77", "0", PF_IPV_4), EADDRNOTAVAIL, PREFORK_EXIT_SYSTEM,
                "on 192.0.2.77: no such address on this machine");
    must_open(tcp("127.0.0.1", "0", PF_IPV_4));
    outsider = dup(ls.table[0].fd);
    port = port_of(0);
    pf_listeners_close(&ls);
    must_refuse(tcp("127.0.0.1", port, PF_IPV_4), EADDRINUSE, PREFORK_EXIT_SYSTEM,
                "on 127.0.0.1: in use by another process");
    (void)close(outsider);
    world.bind_family = AF_INET;
    world.bind_error = EACCES;
    must_refuse(tcp("127.0.0.1", "80", PF_IPV_4), EACCES, PREFORK_EXIT_SYSTEM,
                "port 80 on 127.0.0.1: permission denied: ports below 1024 need root");
    world.bind_error = EMFILE;
    must_refuse(tcp("127.0.0.1", "80", PF_IPV_4), EMFILE, PREFORK_EXIT_SYSTEM,
                "too many open files");
}

static void
asks_for_the_interface(void **state)
{
    (void)state;
    if (!have_ipv6())
        skip();
    must_refuse(tcp("fe80::1", "0", PF_IPV_6), EINVAL, PREFORK_EXIT_SYSTEM,
                "a link-local address needs its interface");
}

static void
takes_back_a_half_opened_endpoint(void **state)
{
    int before = lowest_fd();

    (void)state;
    world.resolved = "127.0.0.1 192.0.2.77";
    must_refuse(tcp("many.test", "0", PF_IPV_ANY), EADDRNOTAVAIL, PREFORK_EXIT_SYSTEM,
                "no such address");
    assert_int_equal(lowest_fd(), before);
}

static void
refuses_more_than_the_table_holds(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PF_LISTENERS_MAX; i++)
        must_open(tcp("127.0.0.1", "0", PF_IPV_4));
    must_refuse(tcp("127.0.0.1", "0", PF_IPV_4), ENOSPC, PREFORK_EXIT_CONFIG,
                "more than 64");
    must_refuse(unix_at("x"), ENOSPC, PREFORK_EXIT_CONFIG, "more than 64");
}

static void
refuses_clients_after_shut(void **state)
{
    int worker;

    (void)state;
    must_open(tcp("127.0.0.1", "0", PF_IPV_4));
    must_open(unix_at("x"));
    worker = dup(ls.table[0].fd);
    pf_listeners_shut(&ls);
    assert_int_equal(connect_to(&ls.table[0]), -1);
    assert_int_equal(connect_to(&ls.table[1]), -1);
    (void)close(worker);
    pf_listeners_shut(&ls);
    pf_listeners_close(&ls);
    assert_int_equal(ls.count, 0);
}

/* ---- datagrams ------------------------------------------------------------------------
 */

static int
option(const struct pf_listener *l, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(l->fd, level, name, &value, &size), 0);
    return value;
}

static void
opens_udp_beside_tcp(void **state)
{
    char port[16];
    int r = -EADDRINUSE;

    (void)state;
    for (int tries = 0; tries < 16 && r == -EADDRINUSE; tries++) { /* others use UDP, too */
        pf_listeners_close(&ls);
        must_open(tcp("127.0.0.1", "0", PF_IPV_4));
        (void)snprintf(port, sizeof port, "%u", pf_listener_port(&ls.table[0]));
        r = try_open(udp("127.0.0.1", port, PF_IPV_4));
    }
    assert_int_equal(r, 0);
    must_open(udp("127.0.0.1", port, PF_IPV_4));
    assert_int_equal(ls.count, 2);
    assert_non_null(strstr(notes, "is named twice"));
    assert_int_equal(option(&ls.table[0], SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    assert_int_equal(option(&ls.table[1], SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
    assert_int_equal(option(&ls.table[1], SOL_SOCKET, SO_REUSEADDR), 0);
    assert_int_equal(option(&ls.table[1], SOL_SOCKET, SO_BROADCAST), 0);
}

static void
blames_itself_for_its_own_kind_only(void **state)
{
    char port[16];

    (void)state;
    must_open(tcp("127.0.0.1", "0", PF_IPV_4));
    must_open(udp("127.0.0.1", "0", PF_IPV_4));
    (void)snprintf(port, sizeof port, "%u", pf_listener_port(&ls.table[1]));
    must_refuse(udp("*", port, PF_IPV_4), EADDRINUSE, PREFORK_EXIT_CONFIG,
                "this server already listens on 127.0.0.1");
}

static void
sets_options_of_udp(void **state)
{
    struct pf_endpoint e = udp("*", "0", PF_IPV_4);

    (void)state;
    e.broadcast = true;
    must_open(e);
    assert_int_equal(option(&ls.table[0], SOL_SOCKET, SO_BROADCAST), 1);
    assert_int_equal(option(&ls.table[0], IPPROTO_IP, IP_PKTINFO), 1);
    must_open(udp("*", "0", PF_IPV_6));
    assert_int_equal(option(&ls.table[1], IPPROTO_IPV6, IPV6_V6ONLY), 1);
    assert_int_equal(option(&ls.table[1], IPPROTO_IPV6, IPV6_RECVPKTINFO), 1);
    must_open(udp("*", "0", PF_IPV_ANY));
    assert_int_equal(option(&ls.table[2], IPPROTO_IPV6, IPV6_V6ONLY), 0);
    assert_int_equal(option(&ls.table[2], IPPROTO_IP, IP_PKTINFO), 1);
}

static void
counts_datagrams_about_right(void **state)
{
    struct pf_endpoint e = unix_at("x");
    unsigned queued;
    int client;

    (void)state;
    e.proto = PF_PROTO_UNIXDGRAM;
    must_open(udp("127.0.0.1", "0", PF_IPV_4));
    assert_int_equal(pf_listeners_queued(&ls), 0);
    client = socket(AF_INET, SOCK_DGRAM, 0);
    for (int i = 0; i < 20; i++) {
        struct sockaddr_in to;
        socklen_t bytes = sizeof to;
        assert_int_equal(getsockname(ls.table[0].fd, (void *)&to, &bytes), 0);
        assert_int_equal(sendto(client, "x", (size_t)(i > 0), 0, (void *)&to, bytes),
                         i > 0);
    }
    queued = pf_listeners_queued(&ls);
    assert_in_range(queued, 7, 40);
    (void)close(client);
    must_open(e);
    assert_int_equal(pf_listeners_queued(&ls), queued);
    client = socket(AF_UNIX, SOCK_DGRAM, 0);
    for (int i = 0; i < 3; i++) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        memcpy(to.sun_path, e.port, sizeof to.sun_path);
        assert_int_equal(sendto(client, "", 0, 0, (void *)&to, sizeof to), 0);
    }
    assert_int_equal(pf_listeners_queued(&ls), queued + 1);
    (void)close(client);
    pf_listeners_shut(&ls);
}

static void
gives_a_path_to_one_type(void **state)
{
    struct pf_endpoint e = unix_at("x");

    (void)state;
    must_open(e);
    e.proto = PF_PROTO_UNIXDGRAM;
    must_refuse(e, EADDRINUSE, PREFORK_EXIT_CONFIG, "a socket of another type");
    assert_int_equal(ls.count, 1);
}

/* ---- unix -----------------------------------------------------------------------------
 */

static mode_t
mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    return st.st_mode & 07777;
}

/* A socket file that nobody listens on. */
static void
leave_stale(const char *path, int type)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type, 0);

    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    assert_int_equal(bind(fd, (const void *)&a, sizeof a), 0);
    (void)close(fd);
}

static void
opens_a_path(void **state)
{
    struct pf_endpoint e = unix_at("x");
    mode_t mask = umask(027);
    int fd;

    (void)state;
    must_open(e);
    (void)umask(mask);
    assert_string_equal(ls.table[0].address, e.port);
    assert_int_equal(ls.table[0].family, AF_UNIX);
    assert_int_equal(pf_listener_port(&ls.table[0]), 0);
    assert_int_equal(mode_of(e.port), 0750);
    fd = connect_to(&ls.table[0]);
    assert_true(fd >= 0);
    (void)close(fd);
    must_open(e);
    assert_int_equal(ls.count, 1);
    assert_non_null(strstr(notes, "is named twice"));
    pf_listeners_shut(&ls);
    assert_int_equal(access(e.port, F_OK), -1);
}

static void
gives_mode_and_owner(void **state)
{
    struct pf_endpoint e = unix_at("x");
    mode_t mask = umask(077);
    struct stat st;

    (void)state;
    e.has_mode = true;
    e.mode = 0666;
    e.owner = geteuid() == 0 ? 1234 : geteuid();
    e.group = geteuid() == 0 ? 2345 : getegid();
    must_open(e);
    assert_int_equal(umask(mask), 077);
    assert_int_equal(mode_of(e.port), 0666);
    assert_int_equal(lstat(e.port, &st), 0);
    assert_int_equal(st.st_uid, e.owner);
    assert_int_equal(st.st_gid, e.group);
}

static void
keeps_the_umask_with_an_owner(void **state)
{
    struct pf_endpoint e = unix_at("x");
    mode_t mask = umask(027);

    (void)state;
    e.group = getegid();
    must_open(e);
    (void)umask(mask);
    assert_int_equal(mode_of(e.port), 0750);
}

static void
takes_back_a_path(void **state)
{
    struct pf_endpoint e = unix_at("x");

    (void)state;
    if (geteuid() == 0)
        skip();
    e.owner = 0;
    must_refuse(e, EPERM, PREFORK_EXIT_SYSTEM, "its owner and mode cannot be set");
    assert_int_equal(access(e.port, F_OK), -1);
}

static void
replaces_a_stale_socket(void **state)
{
    struct pf_endpoint e = unix_at("x");

    (void)state;
    leave_stale(e.port, SOCK_STREAM);
    must_open(e);
    pf_listeners_shut(&ls);
    pf_listeners_close(&ls);
    leave_stale(e.port, SOCK_DGRAM);
    must_open(e);
}

static void
leaves_a_live_socket_alone(void **state)
{
    struct pf_endpoint e = unix_at("x");
    struct pf_listeners other = {0};

    (void)state;
    e.backlog = 0;
    assert_int_equal(pf_listeners_open(&other, &e, NULL, NULL, &error), 0);
    must_refuse(e, EADDRINUSE, PREFORK_EXIT_SYSTEM, "in use by another process");
    /* The first question fills the queue: EAGAIN, the second answer, says the same. */
    must_refuse(e, EADDRINUSE, PREFORK_EXIT_SYSTEM, "in use by another process");
    assert_int_equal(access(e.port, F_OK), 0);
    pf_listeners_shut(&other);
    pf_listeners_close(&other);
}

static void
leaves_a_live_datagram_socket_alone(void **state)
{
    struct pf_endpoint e = unix_at("x");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    (void)state;
    memcpy(a.sun_path, e.port, sizeof a.sun_path);
    assert_int_equal(bind(fd, (const void *)&a, sizeof a), 0);
    must_refuse(e, EADDRINUSE, PREFORK_EXIT_SYSTEM, "in use by another process");
    (void)close(fd);
    must_open(e);
}

static void
never_touches_what_is_no_socket(void **state)
{
    struct pf_endpoint e = unix_at("x");
    int fd = open(e.port, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    (void)state;
    (void)close(fd);
    must_refuse(e, EEXIST, PREFORK_EXIT_SYSTEM, "exists and is not a socket");
    assert_int_equal(unlink(e.port), 0);
    assert_int_equal(symlink("nowhere", e.port), 0);
    must_refuse(e, EEXIST, PREFORK_EXIT_SYSTEM, "is a symbolic link");
    assert_int_equal(unlink(e.port), 0);
    must_refuse(unix_at("."), EEXIST, PREFORK_EXIT_SYSTEM, "exists and is not a socket");
    must_refuse(unix_at("no/x"), ENOENT, PREFORK_EXIT_SYSTEM,
                "/no does not exist: create it");
}

static void
unlinks_only_its_own_file(void **state)
{
    struct pf_endpoint e = unix_at("x");

    (void)state;
    must_open(e);
    assert_int_equal(unlink(e.port), 0);
    leave_stale(unix_at("other").port, SOCK_STREAM);
    assert_int_equal(rename(unix_at("other").port, e.port), 0);
    pf_listeners_shut(&ls);
    assert_int_equal(unlink(e.port), 0);
}

/* ---- queues ---------------------------------------------------------------------------
 */

static void
counts_who_waits(void **state)
{
    int fds[5];

    (void)state;
    must_open(tcp("127.0.0.1", "0", PF_IPV_4));
    must_open(unix_at("x"));
    assert_int_equal(pf_listeners_queued(&ls), 0);
    for (unsigned i = 0; i < PF_COUNT(fds); i++)
        fds[i] = connect_to(&ls.table[i < 2 ? 0 : 1]);
    assert_int_equal(pf_listeners_queued(&ls), 5);
    (void)close(accept(ls.table[1].fd, NULL, NULL));
    assert_int_equal(pf_listeners_queued(&ls), 4);
    (void)close(accept(ls.table[0].fd, NULL, NULL));
    assert_int_equal(pf_listeners_queued(&ls), 3);
    pf_listeners_shut(&ls);
    for (unsigned i = 0; i < PF_COUNT(fds); i++)
        (void)close(fds[i]);
}

static void
counts_nobody_where_it_cannot_ask(void **state)
{
    int pipes[2];

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    ls.table[0] =
        (struct pf_listener){.fd = pipes[0], .family = AF_INET, .inherited = true};
    ls.table[1] =
        (struct pf_listener){.fd = pipes[1], .family = AF_UNIX, .inherited = true};
    ls.count = 2;
    assert_int_equal(pf_listeners_queued(&ls), 0);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(opens_a_literal),
        CASE(opens_one_dual_stack_socket),
        CASE(opens_both_versions_on_one_port),
        CASE(falls_back_to_ipv4),
        CASE(opens_each_address_of_a_name),
        CASE(takes_ipv6_first_if_versions_are_named),
        CASE(skips_ipv6_of_a_name_where_there_is_none),
        CASE(skips_what_it_listens_on),
        CASE(uses_an_inherited_socket),
        CASE(names_what_is_wrong_with_tcp),
        CASE(asks_for_the_interface),
        CASE(takes_back_a_half_opened_endpoint),
        CASE(refuses_more_than_the_table_holds),
        CASE(refuses_clients_after_shut),
        CASE(opens_udp_beside_tcp),
        CASE(blames_itself_for_its_own_kind_only),
        CASE(sets_options_of_udp),
        CASE(counts_datagrams_about_right),
        CASE(gives_a_path_to_one_type),
        CASE(opens_a_path),
        CASE(gives_mode_and_owner),
        CASE(keeps_the_umask_with_an_owner),
        CASE(takes_back_a_path),
        CASE(replaces_a_stale_socket),
        CASE(leaves_a_live_socket_alone),
        CASE(leaves_a_live_datagram_socket_alone),
        CASE(never_touches_what_is_no_socket),
        CASE(unlinks_only_its_own_file),
        CASE(counts_who_waits),
        CASE(counts_nobody_where_it_cannot_ask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
