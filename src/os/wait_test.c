/* Waiting: what is ready, how often it is said, and how long one sleeps. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "os/clock.h"
#include "os/wait.h"
#include "os/wake.h"

#include <errno.h>
#include <unistd.h>

struct fixture {
    struct pf_wait wait;
    struct pf_wait_event events[8];
    int bell;
};

static void
open(struct fixture *f)
{
    assert_int_equal(pf_wait_open(&f->wait), 0);
    f->bell = pf_wake_open();
    assert_true(f->bell >= 0);
}

static void
shut(struct fixture *f)
{
    (void)close(f->bell);
    pf_wait_close(&f->wait);
    assert_int_equal(f->wait.fd, -1);
}

/* Events that are there now. */
static unsigned
look(struct fixture *f)
{
    return pf_wait_sleep(&f->wait, 0, f->events, PF_COUNT(f->events));
}

static void
a_bell_is_heard_until_it_is_hushed(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    assert_int_equal(pf_wait_add(&f.wait, f.bell, UINT64_MAX - 1), 0);
    assert_int_equal(look(&f), 0);
    pf_wake_ring(f.bell);
    pf_wake_ring(f.bell);
    assert_int_equal(look(&f), 1);
    assert_true(f.events[0].tag == UINT64_MAX - 1);
    assert_int_equal(look(&f), 1);
    pf_wake_hush(f.bell);
    pf_wake_hush(f.bell); /* silent already: does not block */
    assert_int_equal(look(&f), 0);
    shut(&f);
}

static void
once_is_once_until_it_is_asked_again(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    assert_int_equal(pf_wait_add_once(&f.wait, f.bell, 1), 0);
    pf_wake_ring(f.bell);
    assert_int_equal(look(&f), 1);
    assert_int_equal(look(&f), 0);
    assert_int_equal(pf_wait_add_once(&f.wait, f.bell, 2), 0);
    assert_int_equal(look(&f), 1); /* still readable */
    assert_int_equal(f.events[0].tag, 2);
    shut(&f);
}

static void
what_is_removed_is_forgotten(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    assert_int_equal(pf_wait_add(&f.wait, f.bell, 1), 0);
    assert_int_equal(pf_wait_add(&f.wait, f.bell, 1), -EEXIST);
    pf_wake_ring(f.bell);
    pf_wait_remove(&f.wait, f.bell);
    pf_wait_remove(&f.wait, f.bell); /* unknown is fine */
    assert_int_equal(look(&f), 0);
    shut(&f);
}

static void
the_other_end_closed_is_an_event(void **state)
{
    struct fixture f;
    int ends[2];

    (void)state;
    open(&f);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pf_wait_add(&f.wait, ends[0], 5), 0);
    (void)close(ends[1]);
    assert_int_equal(look(&f), 1);
    assert_true(f.events[0].tag == 5);
    (void)close(ends[0]);
    shut(&f);
}

static void
an_edge_is_reported_once_and_again_when_asked(void **state)
{
    struct fixture f;
    int ends[2];

    (void)state;
    open(&f);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pf_wait_add_edge(&f.wait, ends[0], 5), 0);
    assert_int_equal(look(&f), 0);
    assert_int_equal(write(ends[1], "a", 1), 1);
    assert_int_equal(look(&f), 1);
    assert_int_equal(look(&f), 0); /* it is still there, but no news */
    assert_int_equal(write(ends[1], "b", 1), 1);
    assert_int_equal(look(&f), 1);
    assert_int_equal(pf_wait_add_edge(&f.wait, ends[0], 6), 0);
    assert_int_equal(look(&f), 1);
    assert_true(f.events[0].tag == 6);
    (void)close(ends[1]);
    assert_int_equal(look(&f), 1);
    (void)close(ends[0]);
    shut(&f);
}

static void
many_are_reported_in_turn(void **state)
{
    struct pf_wait_event event;
    struct fixture f;
    int other = pf_wake_open();
    uint64_t first;

    (void)state;
    open(&f);
    assert_int_equal(pf_wait_add(&f.wait, f.bell, 1), 0);
    assert_int_equal(pf_wait_add(&f.wait, other, 2), 0);
    pf_wake_ring(f.bell);
    pf_wake_ring(other);
    assert_int_equal(pf_wait_sleep(&f.wait, 0, &event, 1), 1);
    first = event.tag;
    assert_int_equal(pf_wait_sleep(&f.wait, 0, &event, 1), 1);
    assert_int_equal(event.tag, 3 - first);
    (void)close(other);
    shut(&f);
}

static void
a_deadline_is_never_early(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    for (pf_time span = 1; span < 5000; span += 777) {
        pf_time deadline = pf_clock_now() + span;
        assert_int_equal(pf_wait_sleep(&f.wait, deadline, f.events, 8), 0);
        assert_true(pf_clock_now() >= deadline);
    }
    shut(&f);
}

static void
the_coarse_clock_is_never_ahead(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        pf_time coarse = pf_clock_now_coarse();
        assert_true(coarse <= pf_clock_now());
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bell_is_heard_until_it_is_hushed),
        cmocka_unit_test(once_is_once_until_it_is_asked_again),
        cmocka_unit_test(what_is_removed_is_forgotten),
        cmocka_unit_test(the_other_end_closed_is_an_event),
        cmocka_unit_test(an_edge_is_reported_once_and_again_when_asked),
        cmocka_unit_test(many_are_reported_in_turn),
        cmocka_unit_test(a_deadline_is_never_early),
        cmocka_unit_test(the_coarse_clock_is_never_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
