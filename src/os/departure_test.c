/* Departures: what is reported of a connection, how often, and what is not. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "os/departure.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
    int departures;
    int here;  /* watched, as number 7 */
    int there; /* the client */
    struct pf_departure table[4];
};

static void
open_unix(struct fixture *f)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    f->here = ends[0];
    f->there = ends[1];
}

static void
open_tcp(struct fixture *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof a;
    int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(door, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(door, 1), 0);
    assert_int_equal(getsockname(door, (struct sockaddr *)&a, &bytes), 0);
    f->there = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(f->there, (struct sockaddr *)&a, sizeof a), 0);
    f->here = accept(door, NULL, NULL);
    assert_true(f->here >= 0);
    (void)close(door);
}

static void
open_both(struct fixture *f, bool tcp)
{
    if (tcp)
        open_tcp(f);
    else
        open_unix(f);
    f->departures = pf_departures_open();
    assert_true(f->departures >= 0);
}

static void
shut(struct fixture *f)
{
    (void)close(f->here);
    (void)close(f->there);
    (void)close(f->departures);
}

/* What is reported now; on the loopback all that was done has arrived. */
static unsigned
look(struct fixture *f)
{
    return pf_departures_take(f->departures, f->table, PF_COUNT(f->table));
}

static void
a_close_is_reported(void **state)
{
    (void)state;
    for (int tcp = 0; tcp <= 1; tcp++) {
        struct fixture f;
        open_both(&f, tcp);
        assert_int_equal(pf_departures_watch(f.departures, f.here, 7, true), 0);
        assert_int_equal(look(&f), 0);
        assert_int_equal(write(f.there, "x", 1), 1); /* unread */
        assert_int_equal(look(&f), 0);
        (void)close(f.there);
        f.there = -1;
        assert_int_equal(
            poll(&(struct pollfd){.fd = f.departures, .events = POLLIN}, 1, 1000), 1);
        assert_int_equal(look(&f), 1);
        assert_int_equal(f.table[0].connection, 7);
        assert_int_equal(f.table[0].shut, !tcp);
        assert_int_equal(look(&f), 0);
        shut(&f);
    }
}

static void
one_that_is_gone_already(void **state)
{
    (void)state;
    for (int tcp = 0; tcp <= 1; tcp++) {
        struct fixture f;
        open_both(&f, tcp);
        (void)shutdown(f.there, SHUT_RDWR);
        assert_int_equal(pf_departures_watch(f.departures, f.here, UINT64_MAX, true), 0);
        assert_int_equal(look(&f), 1);
        assert_true(f.table[0].connection == UINT64_MAX);
        shut(&f);
    }
}

static void
half_a_close_can_be_left_out(void **state)
{
    (void)state;
    for (int tcp = 0; tcp <= 1; tcp++) {
        struct fixture f;
        open_both(&f, tcp);
        assert_int_equal(pf_departures_watch(f.departures, f.here, 7, false), 0);
        (void)shutdown(f.there, SHUT_WR);
        assert_int_equal(look(&f), 0);
        (void)shutdown(f.here, SHUT_WR);
        assert_int_equal(look(&f), 1);
        assert_true(f.table[0].shut && !f.table[0].broken);
        shut(&f);
    }
}

static void
a_reset_is_broken(void **state)
{
    const struct linger now = {.l_onoff = 1};
    struct fixture f;

    (void)state;
    open_both(&f, true);
    assert_int_equal(pf_departures_watch(f.departures, f.here, 7, false), 0);
    assert_int_equal(setsockopt(f.there, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    (void)close(f.there);
    f.there = -1;
    assert_int_equal(look(&f), 1);
    assert_true(f.table[0].broken);
    shut(&f);
}

/* What we did first is reported, and the client's end still is after it. */
static void
our_own_end_does_not_hide_the_clients(void **state)
{
    struct fixture f;

    (void)state;
    open_both(&f, true);
    assert_int_equal(pf_departures_watch(f.departures, f.here, 7, true), 0);
    (void)shutdown(f.here, SHUT_RD);
    assert_int_equal(look(&f), 1);
    assert_int_equal(look(&f), 0);
    (void)close(f.there);
    f.there = -1;
    assert_int_equal(look(&f), 1);
    shut(&f);
}

static void
a_closed_socket_says_nothing(void **state)
{
    struct fixture f;

    (void)state;
    open_both(&f, true);
    assert_int_equal(pf_departures_watch(f.departures, f.here, 7, true), 0);
    (void)close(f.there);
    (void)close(f.here);
    f.there = f.here = -1;
    assert_int_equal(look(&f), 0);
    shut(&f);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_close_is_reported),
        cmocka_unit_test(one_that_is_gone_already),
        cmocka_unit_test(half_a_close_can_be_left_out),
        cmocka_unit_test(a_reset_is_broken),
        cmocka_unit_test(our_own_end_does_not_hide_the_clients),
        cmocka_unit_test(a_closed_socket_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
