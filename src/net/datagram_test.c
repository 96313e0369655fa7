/* Real sockets on the loopback: what arrives, what it was sent to, where answers leave. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/address.h"
#include "net/accept.h"
#include "net/datagram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static char room[64];
static struct pf_datagram d;
static struct sockaddr_storage peer;
static socklen_t peer_bytes;
static int errnum;

static struct sockaddr_storage
address(const char *host, unsigned port, socklen_t *ret_bytes)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *v4 = (void *)&storage;
    struct sockaddr_in6 *v6 = (void *)&storage;

    if (strchr(host, ':')) {
        *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                    .sin6_port = htons((in_port_t)port)};
        assert_int_equal(inet_pton(AF_INET6, host, &v6->sin6_addr), 1);
        *ret_bytes = sizeof *v6;
    } else {
        *v4 =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
        assert_int_equal(inet_pton(AF_INET, host, &v4->sin_addr), 1);
        *ret_bytes = sizeof *v4;
    }
    return storage;
}

/* A bound socket; -1 if there is no such IP version. */
static int
bound_to(const char *host)
{
    socklen_t bytes;
    struct sockaddr_storage a = address(host, 0, &bytes);
    int fd = socket(a.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int off = 0;

    if (a.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, (const void *)&a, bytes) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static unsigned
port_of(int fd)
{
    struct sockaddr_storage a;
    socklen_t bytes = sizeof a;

    assert_int_equal(getsockname(fd, (void *)&a, &bytes), 0);
    return pf_address_port((const void *)&a, bytes);
}

static int
receive(int fd, size_t size)
{
    const struct pf_datagram_order order = {.fd = fd, .tells = true, .room = size};

    d.bytes = room;
    return pf_datagram_receive(&d, &order, &peer, &peer_bytes, &errnum);
}

static void
send_to(int fd, const char *host, unsigned port, const char *text)
{
    socklen_t bytes;
    struct sockaddr_storage to = address(host, port, &bytes);

    assert_int_equal(sendto(fd, text, strlen(text), 0, (const void *)&to, bytes),
                     strlen(text));
}

static void
must_be_local(int fd, const char *expected)
{
    struct sockaddr_storage a = {0};
    socklen_t bytes = sizeof a;
    char text[PF_ADDRESS_TEXT_BYTES];

    assert_int_equal(getsockname(fd, (void *)&a, &bytes), 0);
    bytes = pf_datagram_local(&d, &a, bytes);
    pf_address_host((const void *)&a, bytes, text, sizeof text);
    assert_string_equal(text, expected);
    assert_int_equal(pf_address_port((const void *)&a, bytes), port_of(fd));
}

static void
must_be_answered_from(int server, int client, const char *expected)
{
    struct sockaddr_storage from = {0};
    socklen_t bytes = sizeof from;
    char text[PF_ADDRESS_TEXT_BYTES];
    char answer[8];

    assert_int_equal(pf_datagram_send(&d, server, &peer, peer_bytes, "yes", 3), 0);
    assert_int_equal(recvfrom(client, answer, sizeof answer, 0, (void *)&from, &bytes), 3);
    pf_address_host((const void *)&from, bytes, text, sizeof text);
    assert_string_equal(text, expected);
}

static void
answers_from_the_address_that_was_asked(void **state)
{
    static const struct {
        const char *bound, *client, *asked;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1", "127.0.0.1"},
        {"0.0.0.0", "127.0.0.5", "127.0.0.9"},
        {"0.0.0.0", "127.0.0.9", "127.0.0.5"},
        {"::", "127.0.0.5", "127.0.0.9"},
        {"::", "::1", "::1"},
        {"::1", "::1", "::1"},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        int server = bound_to(cases[i].bound);
        int client = bound_to(cases[i].client);
        if (server >= 0 && client >= 0) {
            assert_int_equal(pf_datagram_prepare(server), 0);
            send_to(client, cases[i].asked, port_of(server), "hello");
            assert_int_equal(receive(server, sizeof room), 0);
            must_be_local(server, cases[i].asked);
            must_be_answered_from(server, client, cases[i].asked);
        }
        (void)close(server);
        (void)close(client);
    }
}

static void
cuts_and_tells(void **state)
{
    int server = bound_to("127.0.0.1");
    int client = bound_to("127.0.0.1");

    (void)state;
    for (size_t i = 0; i < 3; i++)
        send_to(client, "127.0.0.1", port_of(server),
                i == 0   ? "123456"
                : i == 1 ? "1234"
                         : "");
    assert_int_equal(receive(server, 4), 0);
    assert_int_equal(d.size, 4);
    assert_int_equal(d.cut, 2);
    assert_memory_equal(d.bytes, "1234", 4);
    assert_int_equal(receive(server, 4), 0);
    assert_int_equal(d.size, 4);
    assert_int_equal(d.cut, 0);
    assert_int_equal(receive(server, 4), 0);
    assert_int_equal(d.size, 0);
    assert_int_equal(receive(server, 4), PF_ACCEPT_E_NONE);
    assert_int_equal(errnum, EAGAIN);
    (void)close(server);
    (void)close(client);
}

static void
knows_its_ends(void **state)
{
    int pair[2];

    (void)state;
    assert_int_equal(receive(-1, 4), PF_ACCEPT_E_CLOSED);
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(receive(pair[0], 4), PF_ACCEPT_E_CLOSED);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void
answers_no_one_without_a_name(void **state)
{
    struct pf_datagram_order order = {.room = 8};
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    order.fd = pair[0];
    assert_int_equal(send(pair[1], "hello", 5, 0), 5);
    d.bytes = room;
    assert_int_equal(pf_datagram_receive(&d, &order, &peer, &peer_bytes, &errnum), 0);
    assert_int_equal(peer_bytes, 0);
    assert_int_equal(pf_datagram_send(&d, pair[0], &peer, peer_bytes, "x", 1),
                     -EDESTADDRREQ);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_from_the_address_that_was_asked),
        cmocka_unit_test(cuts_and_tells),
        cmocka_unit_test(knows_its_ends),
        cmocka_unit_test(answers_no_one_without_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
