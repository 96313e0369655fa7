/* The control socket: what one master in a process leaves to the next. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "link/request.h"
#include "master/master.h"
#include "master/tags.h"
#include "os/clock.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const struct pf_recipe recipe;

/* As much of a master as clients see. */
static void
open_part(struct pf_master *m)
{
    memset(m, 0, sizeof *m);
    m->setup.recipe = &recipe;
    m->now = pf_clock_now();
    m->deadline = PF_NEVER;
    assert_int_equal(pf_wait_open(&m->wait), 0);
    pf_control_init(&m->control);
}

static void
close_part(struct pf_master *m)
{
    pf_control_close(&m->control);
    pf_wait_close(&m->wait);
}

/* One turn, as far as it is about clients. How many events there were. */
static unsigned
turn(struct pf_master *m)
{
    struct pf_wait_event events[16];
    unsigned count = pf_wait_sleep(&m->wait, 0, events, 16);

    m->now = pf_clock_now();
    m->deadline = PF_NEVER;
    for (unsigned i = 0; i < count; i++) {
        if (pf_tag_kind(events[i].tag) == PF_TAG_CONTROL)
            pf_control_greet(m);
        else
            pf_control_hear(m, pf_tag_slot(events[i].tag));
    }
    pf_control_tend(m);
    return count;
}

static int
connect_to(struct pf_master *m)
{
    int client = pf_request_connect(getpid(), PF_NEVER);

    assert_true(client >= 0);
    assert_int_equal(turn(m), 1);
    return client;
}

static void
expect_answer(int client, enum pf_answer_kind kind, uint64_t number)
{
    struct pf_answer answer;

    assert_int_equal(pf_answer_receive(client, 0, &answer), 0);
    assert_int_equal(answer.kind, kind);
    assert_int_equal(answer.number, number);
}

/* The next master has the same descriptors and nothing else of the first. */
static void
hand_over(struct pf_master *from, struct pf_master *to)
{
    int fds[PF_STATE_WAITERS_MAX];
    uint64_t numbers[PF_STATE_WAITERS_MAX];
    unsigned count = pf_control_waiters(from, fds, numbers);
    int listener = pf_control_listener_fd(from);

    pf_wait_close(&from->wait);
    open_part(to);
    to->upgrade.number = from->upgrade.number;
    pf_control_adopt(to, listener, fds, numbers, count);
}

static void
who_waits_is_answered_by_the_next_master(void **state)
{
    struct pf_master first;
    struct pf_master second;
    int waiting;
    int silent;
    int later;

    (void)state;
    open_part(&first);
    pf_control_open(&first);
    waiting = connect_to(&first);
    assert_int_equal(pf_request_send(waiting, PF_REQUEST_RELOAD, true), 0);
    assert_int_equal(turn(&first), 1);
    expect_answer(waiting, PF_ANSWER_ACCEPTED, 1);
    silent = connect_to(&first);
    first.upgrade.number = 1; /* it has begun */
    first.upgrade.wanted = PF_UPGRADE_NOTHING;

    hand_over(&first, &second);
    assert_int_equal(turn(&second), 0);
    assert_true(second.deadline > second.now && second.deadline < PF_NEVER);
    assert_int_equal(pf_request_send(silent, PF_REQUEST_RELOAD, true), 0);
    assert_int_equal(turn(&second), 1);
    expect_answer(silent, PF_ANSWER_ACCEPTED, 2);
    later = connect_to(&second);

    pf_control_tell(&second, 1, true, "done");
    expect_answer(waiting, PF_ANSWER_DONE, 1);
    pf_control_tell(&second, 2, false, "failed");
    expect_answer(silent, PF_ANSWER_FAILED, 2);
    close_part(&second);
    (void)close(waiting);
    (void)close(silent);
    (void)close(later);
}

static void
a_listener_under_another_name_is_not_adopted(void **state)
{
    struct pf_master m;
    int other = pf_request_listen(getppid());
    int client;

    (void)state;
    assert_true(other >= 0);
    open_part(&m);
    pf_control_adopt(&m, other, NULL, NULL, 0);
    client = connect_to(&m);
    assert_int_equal(pf_request_connect(getppid(), PF_NEVER), -ECONNREFUSED);
    (void)close(client);
    close_part(&m);
}

static void
who_says_nothing_is_closed_when_the_time_is_over(void **state)
{
    struct pf_answer answer;
    struct pf_master m;
    int client;

    (void)state;
    open_part(&m);
    pf_control_open(&m);
    client = connect_to(&m);
    assert_int_equal(pf_answer_receive(client, 0, &answer), -ETIMEDOUT);
    m.now = m.deadline;
    pf_control_tend(&m);
    assert_int_equal(pf_answer_receive(client, 0, &answer), -EPIPE);
    (void)close(client);
    close_part(&m);
}

static void
a_stop_is_told_to_who_waits(void **state)
{
    struct pf_master m;
    int client;

    (void)state;
    open_part(&m);
    pf_control_open(&m);
    client = connect_to(&m);
    assert_int_equal(pf_request_send(client, PF_REQUEST_RESTART_WORKERS, true), 0);
    assert_int_equal(turn(&m), 1);
    expect_answer(client, PF_ANSWER_ACCEPTED, 1);
    m.pool.stop = PF_STOP_FAST;
    pf_control_tend(&m);
    expect_answer(client, PF_ANSWER_STOPPING, 1);
    (void)close(client);
    close_part(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_is_answered_by_the_next_master),
        cmocka_unit_test(a_listener_under_another_name_is_not_adopted),
        cmocka_unit_test(who_says_nothing_is_closed_when_the_time_is_over),
        cmocka_unit_test(a_stop_is_told_to_who_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
