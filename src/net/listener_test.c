/* TCP: real sockets on the loopback; a resolver and a kernel without IPv6 are played by the
 * functions at the top, which stand before those of libc. */
#include "net/listener_test.h"

#include <dlfcn.h>
#include <netdb.h>
#include <sys/stat.h>
#include <sys/syscall.h>

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

static int
begin_world(void **state)
{
    memset(&world, 0, sizeof world);
    return begin(state);
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

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin_world, end)

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
        CASE(counts_who_waits),
        CASE(counts_nobody_where_it_cannot_ask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
