/* The trial of a new generation: what it starts, its verdict, and what becomes of both. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "core/full.h"
#include "core/plan.h"
#include "core/rollover.h"
#include "core/shutdown.h"

#include <signal.h>

enum { SLOTS = 32, SURGE = 2 };

#define S        PF_SECOND
#define NOW      (1000 * S)
#define DEADLINE (NOW + 20 * S)

static const struct pf_policy fixed = {
    .sizing = PF_SIZING_STATIC,
    .min_servers = 3,
    .max_servers = 3,
    .max_recycling = 3,
    .reload_surge = SURGE,
    .max_dequeue = 1,
    .check_for_waiting = PF_NEVER,
    .spare_timeout = PF_NEVER,
    .check_for_spawn = PF_NEVER,
    .check_for_dequeue = S,
    .start_timeout = PF_NEVER,
    .request_timeout = PF_NEVER,
    .graceful_timeout = 30 * S,
    .stop_timeout = 3 * S,
    .kill_timeout = 3 * S,
};

struct fixture {
    struct pf_slot slots[SLOTS];
    struct pf_pool pool;
    struct pf_policy policy;
    struct pf_plan plan;
};

static void
tell(struct fixture *f, unsigned slot, bool busy, bool wants_leave)
{
    pf_pool_told(&f->pool, slot,
                 &(struct pf_told){.ready = true,
                                   .busy = busy,
                                   .wants_leave = wants_leave,
                                   .requests = 1,
                                   .since = NOW - S + slot});
}

static unsigned
bear(struct fixture *f)
{
    unsigned slot = pf_pool_vacant(&f->pool);

    pf_pool_born(&f->pool, slot, PF_KIND_WORKER, 1000, NOW);
    return slot;
}

/* Three busy workers, of which each would like to leave, and a trial. */
static void
begin(struct fixture *f)
{
    f->policy = fixed;
    pf_pool_init(&f->pool, f->slots, SLOTS, 1, NOW - 100 * S);
    for (unsigned i = 0; i < 3; i++)
        tell(f, bear(f), true, true);
    f->pool.surplus = 1;
    pf_trial_begin(&f->pool, SURGE, DEADLINE);
}

static unsigned
plan(struct fixture *f, enum pf_action_kind kind, enum pf_reason reason, pf_time now)
{
    unsigned n = 0;

    pf_plan_make(&f->plan, &f->pool, &f->policy, now);
    for (unsigned i = 0; i < f->plan.count; i++)
        n += f->plan.actions[i].kind == kind && f->plan.actions[i].reason == reason;
    assert_int_equal(n, f->plan.count);
    return n;
}

static enum pf_trial_verdict
judge(struct fixture *f, pf_time now)
{
    return pf_trial_judge(&f->pool, &f->policy, now);
}

/* Also above max_servers; nobody is asked, and no dequeue process is started. */
static void
it_starts_so_many_beside_the_old_ones(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(plan(&f, PF_ACTION_BIRTH, PF_REASON_TRIAL, NOW), SURGE);
    assert_true(f.plan.want_ready);
    assert_true(f.plan.deadline == DEADLINE);
    (void)bear(&f);
    assert_int_equal(plan(&f, PF_ACTION_BIRTH, PF_REASON_TRIAL, NOW), SURGE - 1);
    (void)bear(&f);
    assert_int_equal(plan(&f, PF_ACTION_BIRTH, PF_REASON_TRIAL, NOW), 0);
    assert_int_equal(judge(&f, NOW), PF_TRIAL_UNDECIDED);
}

static void
what_dies_is_made_up_for_below_the_floor_only(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f);
    for (unsigned i = 0; i < 3; i++) {
        pf_pool_died(&f.pool, i, SIGKILL, NOW);
        pf_pool_buried(&f.pool, i);
    }
    assert_int_equal(plan(&f, PF_ACTION_BIRTH, PF_REASON_MIN_SERVERS, NOW), 3);
    f.policy.sizing = PF_SIZING_ONDEMAND;
    assert_int_equal(plan(&f, PF_ACTION_BIRTH, PF_REASON_TRIAL, NOW), SURGE);
}

static void
all_of_them_have_to_be_ready(void **state)
{
    static struct fixture f;
    unsigned first;
    unsigned second;

    (void)state;
    begin(&f);
    first = bear(&f);
    second = bear(&f);
    tell(&f, first, false, false);
    assert_int_equal(judge(&f, NOW), PF_TRIAL_UNDECIDED);
    tell(&f, second, true, false);
    assert_int_equal(judge(&f, NOW), PF_TRIAL_READY);
}

static void
not_more_than_the_pool_may_have(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f);
    f.policy.min_servers = f.policy.max_servers = 1;
    assert_int_equal(plan(&f, PF_ACTION_BIRTH, PF_REASON_TRIAL, NOW), 0); /* no room */
    pf_pool_died(&f.pool, 0, SIGKILL, NOW);
    pf_pool_buried(&f.pool, 0);
    assert_int_equal(plan(&f, PF_ACTION_BIRTH, PF_REASON_TRIAL, NOW), 1);
    tell(&f, bear(&f), false, false);
    assert_int_equal(judge(&f, NOW), PF_TRIAL_READY);
}

static void
one_that_fails_ends_it(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f);
    pf_pool_died(&f.pool, bear(&f), 1 << 8, NOW);
    assert_int_equal(judge(&f, NOW), PF_TRIAL_FAILED);
    assert_int_equal(f.pool.trial.reason, PF_REASON_BAD_START);
    assert_int_equal(f.pool.start.streak, 0);
    pf_pool_buried(&f.pool, 3);
    assert_int_equal(judge(&f, NOW), PF_TRIAL_FAILED); /* for good */
    assert_int_equal(plan(&f, PF_ACTION_BIRTH, PF_REASON_TRIAL, NOW), 0);
}

static void
one_that_says_so_ends_it(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f);
    pf_pool_failed(&f.pool, 0); /* an old one does not */
    assert_int_equal(judge(&f, NOW), PF_TRIAL_UNDECIDED);
    pf_pool_failed(&f.pool, bear(&f));
    assert_int_equal(judge(&f, NOW), PF_TRIAL_FAILED);
    assert_int_equal(f.pool.trial.reason, PF_REASON_BAD_START);
}

static void
old_ones_fail_as_ever(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f);
    pf_pool_failed(&f.pool, 0);
    pf_pool_died(&f.pool, 0, 1 << 8, NOW);
    assert_int_equal(f.pool.start.streak, 1);
    assert_int_equal(judge(&f, NOW), PF_TRIAL_UNDECIDED);
}

static void
it_does_not_last_for_ever(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f);
    (void)bear(&f);
    assert_int_equal(judge(&f, DEADLINE - 1), PF_TRIAL_UNDECIDED);
    assert_int_equal(judge(&f, DEADLINE), PF_TRIAL_FAILED);
    assert_int_equal(f.pool.trial.reason, PF_REASON_SLOW_START);
}

/* The new program may be what mends them. */
static void
bad_starts_before_do_not_hold_it_up(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f);
    f.pool.start = (struct pf_backoff){.streak = 9, .next_at = NOW + 60 * S};
    assert_int_equal(plan(&f, PF_ACTION_BIRTH, PF_REASON_TRIAL, NOW), SURGE);
    pf_pool_fork_failed(&f.pool, NOW);
    assert_int_equal(plan(&f, PF_ACTION_BIRTH, PF_REASON_TRIAL, NOW), 0);
    assert_true(f.plan.deadline == f.pool.fork.next_at);
}

static void
committed_the_old_ones_go(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f);
    tell(&f, bear(&f), false, false);
    tell(&f, bear(&f), false, false);
    for (unsigned i = 0; i < 3; i++)
        tell(&f, i, true, false);
    pf_trial_commit(&f.pool);
    assert_int_equal(judge(&f, NOW), PF_TRIAL_UNDECIDED); /* of nothing */
    assert_int_equal(f.pool.rollover.alive, 3);
    assert_int_equal(f.pool.rollover.size, 3);
    f.pool.last_dequeue = NOW;
    assert_int_equal(plan(&f, PF_ACTION_ASK, PF_REASON_OUTDATED, NOW), SURGE);
    for (unsigned i = 0; i < 3; i++)
        pf_pool_died(&f.pool, i, 1 << 8, NOW);
    assert_int_equal(f.pool.start.streak, 0);
}

static void
cancelled_the_new_ones_go(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f);
    for (unsigned i = 0; i < 3; i++)
        tell(&f, i, true, false);
    (void)bear(&f);
    tell(&f, bear(&f), false, false);
    pf_trial_cancel(&f.pool);
    f.pool.last_dequeue = NOW;
    assert_int_equal(plan(&f, PF_ACTION_ASK, PF_REASON_OUTDATED, NOW), 2);
    assert_true(pf_pool_is_outdated(&f.pool, &f.slots[3]));
    assert_true(pf_pool_is_outdated(&f.pool, &f.slots[4]));
    assert_false(pf_pool_is_outdated(&f.pool, &f.slots[2]));
    pf_trial_cancel(&f.pool); /* nothing to cancel any more */
    assert_int_equal(f.pool.rollover.alive, 2);
}

/* What a trial meets of an earlier replacement goes on behind it, at the same size. */
static void
during_a_replacement(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f);
    pf_trial_cancel(&f.pool);
    pf_pool_outdate(&f.pool);
    tell(&f, bear(&f), false, false);
    pf_trial_begin(&f.pool, SURGE, DEADLINE);
    assert_int_equal(f.pool.trial.size, 3);
    assert_int_equal(plan(&f, PF_ACTION_BIRTH, PF_REASON_TRIAL, NOW), SURGE);
    (void)bear(&f);
    pf_trial_cancel(&f.pool);
    assert_true(f.pool.outdated_after == 0 && f.pool.outdated == 5);
    assert_int_equal(f.pool.rollover.size, 3);
}

static void
a_stop_ends_it(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f);
    (void)bear(&f);
    pf_shutdown_ask(&f.pool, PF_STOP_FAST, NOW);
    assert_false(f.pool.trial.on);
    pf_plan_make(&f.plan, &f.pool, &f.policy, NOW);
    assert_int_equal(f.plan.count, 5); /* four are asked, and the doors close */
    pf_trial_cancel(&f.pool);
    assert_false(pf_rollover_is_on(&f.pool));
}

static void
it_says_nothing_of_max_servers(void **state)
{
    static struct fixture f;

    (void)state;
    begin(&f);
    for (pf_time now = NOW; now < NOW + 5 * S; now += S) {
        f.pool.queued = 9;
        assert_int_equal(pf_full_watch(&f.pool, &f.policy, now), PF_REASON_NONE);
    }
    assert_int_equal(pf_full_wake_below(&f.pool, &f.policy), 0);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_starts_so_many_beside_the_old_ones),
        cmocka_unit_test(what_dies_is_made_up_for_below_the_floor_only),
        cmocka_unit_test(all_of_them_have_to_be_ready),
        cmocka_unit_test(not_more_than_the_pool_may_have),
        cmocka_unit_test(one_that_fails_ends_it),
        cmocka_unit_test(one_that_says_so_ends_it),
        cmocka_unit_test(old_ones_fail_as_ever),
        cmocka_unit_test(it_does_not_last_for_ever),
        cmocka_unit_test(bad_starts_before_do_not_hold_it_up),
        cmocka_unit_test(committed_the_old_ones_go),
        cmocka_unit_test(cancelled_the_new_ones_go),
        cmocka_unit_test(during_a_replacement),
        cmocka_unit_test(a_stop_ends_it),
        cmocka_unit_test(it_says_nothing_of_max_servers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
