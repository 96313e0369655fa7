/* Datagrams: ports beside those of TCP, options, and how many wait. */
#include "net/listener_test.h"

#include <sys/un.h>

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

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(opens_udp_beside_tcp),
        CASE(blames_itself_for_its_own_kind_only),
        CASE(sets_options_of_udp),
        CASE(counts_datagrams_about_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
