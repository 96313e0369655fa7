/* Replacing a generation: pools drawn as letters, plans as words. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "base/text.h"
#include "core/plan.h"
#include "core/rollover.h"

#include <signal.h>
#include <string.h>

enum { SLOTS = 32 };

#define S   PF_SECOND
#define NOW (1000 * S)

static const struct pf_policy dynamic = {
    .sizing = PF_SIZING_DYNAMIC,
    .min_servers = 2,
    .max_spare_servers = 10,
    .max_servers = 10,
    .max_recycling = 10,
    .reload_surge = 3,
    .check_for_waiting = 100 * S,
    .spare_timeout = 100 * S,
    .check_for_spawn = PF_NEVER,
    .check_for_dequeue = PF_NEVER,
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

/* s starting, i idle, b busy, w idle and wants to leave. */
static void
bring(struct fixture *f, char letter)
{
    unsigned slot = pf_pool_vacant(&f->pool);

    pf_pool_born(&f->pool, slot, PF_KIND_WORKER, 1000, NOW - 20 * S);
    if (letter != 's')
        pf_pool_told(&f->pool, slot,
                     &(struct pf_told){.ready = true,
                                       .busy = letter == 'b',
                                       .wants_leave = letter == 'w',
                                       .requests = 1,
                                       .since = NOW - 10 * S + slot});
}

static void
bring_all(struct fixture *f, const char *letters)
{
    for (unsigned i = 0; letters[i]; i++)
        bring(f, letters[i]);
}

static void
draw(struct fixture *f, const struct pf_policy *policy, const char *letters)
{
    f->policy = *policy;
    pf_pool_init(&f->pool, f->slots, SLOTS, 1, NOW);
    bring_all(f, letters);
}

static const char *
plan(struct fixture *f, pf_time now)
{
    static const char *const names[] = {"bury", "doors", "ask",    "term",
                                        "kill", "+",     "dequeue"};
    static char buffer[1024];
    struct pf_text t;

    pf_text_init(&t, buffer, sizeof buffer);
    pf_plan_make(&f->plan, &f->pool, &f->policy, now);
    for (unsigned i = 0; i < f->plan.count; i++) {
        const struct pf_action *a = &f->plan.actions[i];
        pf_text_add(&t, "%s%s", i > 0 ? " " : "", names[a->kind]);
        if (a->kind != PF_ACTION_BIRTH)
            pf_text_add(&t, "%u", a->slot);
    }
    return buffer;
}

enum what {
    NOTHING,
    ALL_THE_TIME, /* leave_children_open */
    BAD_STARTS,
    NO_FORK,
    FULL,      /* max_servers is what there was */
    ASKED,     /* the first outdated one was */
    TERMED,    /* and sent SIGTERM */
    KILLED,    /* or SIGKILL */
    ON_DEMAND, /* sizing */
};

static const struct {
    const char *name;
    const char *old;
    const char *new;
    unsigned surge;
    enum what what;
    const char *actions;
} cases[] = {
    {"a birth comes first", "iib", "", 1, NOTHING, "+"},
    {"who starts takes nobody's place", "iib", "s", 1, NOTHING, ""},
    {"who is ready does: the longest idle goes", "iib", "i", 1, NOTHING, "ask0"},
    {"idle ones before busy ones", "bib", "i", 1, NOTHING, "ask1"},
    {"busy ones, the longest first", "bbb", "b", 1, NOTHING, "ask0"},
    {"the pool has grown: its size is kept", "iib", "iii", 1, NOTHING, "ask0 ask1 ask2"},
    {"several at a time", "iib", "", 2, NOTHING, "+ +"},
    {"and several leave", "iib", "ii", 2, NOTHING, "ask0 ask1"},
    {"never more than there were", "iib", "", 9, NOTHING, "+ + +"},
    {"one is on its way out", "bib", "i", 1, ASKED, ""},
    {"signalled: still", "bib", "i", 1, TERMED, ""},
    {"all the time it wants: no reason to wait", "bib", "i", 1, ALL_THE_TIME, "+"},
    {"who survives SIGKILL is not waited for", "bib", "i", 1, KILLED, "+"},
    {"above max_servers", "bbb", "", 1, FULL, "+"},
    {"but not by more than the surge", "bbb", "b", 1, FULL, "ask0"},
    {"who never became ready is no loss", "sii", "i", 1, NOTHING, "ask0"},
    {"unless it is needed", "ssi", "i", 1, NOTHING, ""},
    {"births fail", "iib", "ii", 1, BAD_STARTS, ""},
    {"fork is refused", "iib", "ii", 1, NO_FORK, ""},
    {"max_requests is another matter", "wib", "i", 1, NOTHING, "ask0"},
    {"on demand", "ii", "", 1, ON_DEMAND, "+"},
    {"on demand, nobody there", "", "", 1, ON_DEMAND, ""},
    {"over", "", "iib", 1, NOTHING, ""},
};

static void
happen(struct fixture *f, enum what what)
{
    static const struct pf_backoff cautious = {
        .forgiven = 1, .streak = 2, .first = S, .longest = S, .next_at = NOW + S};
    struct pf_pool *p = &f->pool;

    if (what == BAD_STARTS) {
        p->start = cautious;
        p->births_at_failure = p->births;
    }
    if (what == NO_FORK)
        pf_pool_fork_failed(p, NOW);
    if (what == ASKED || what == TERMED || what == KILLED || what == ALL_THE_TIME)
        pf_pool_asked(p, 0, PF_REASON_OUTDATED, NOW);
    if (what == TERMED || what == KILLED)
        pf_pool_signalled(p, 0, PF_STEP_TERM, PF_REASON_SLOW_LEAVE, NOW);
    if (what == KILLED)
        pf_pool_signalled(p, 0, PF_STEP_KILL, PF_REASON_STILL_THERE, NOW);
    f->policy.leave_children_open = what == ALL_THE_TIME;
    if (what == FULL)
        f->policy.max_servers = 3;
    if (what == ON_DEMAND)
        f->policy.sizing = PF_SIZING_ONDEMAND;
}

static void
plans(void **state)
{
    static struct fixture f;

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        draw(&f, &dynamic, cases[i].old);
        pf_pool_outdate(&f.pool);
        f.pool.rollover.surge = cases[i].surge;
        bring_all(&f, cases[i].new);
        happen(&f, cases[i].what);
        if (strcmp(plan(&f, NOW), cases[i].actions) != 0)
            fail_msg("%s: \"%s\"", cases[i].name, plan(&f, NOW));
    }
}

/* ---- the ceiling ------------------------------------------------------------------------
 */

static void
the_ceiling_falls_with_the_last_of_them(void **state)
{
    static struct fixture f;

    (void)state;
    draw(&f, &dynamic, "iiiiiiiii");
    assert_int_equal(pf_rollover_room(&f.pool, &f.policy), 1);
    pf_pool_outdate(&f.pool);
    f.pool.rollover.surge = 2;
    assert_int_equal(pf_rollover_room(&f.pool, &f.policy), 3);
    for (unsigned i = 0; i < 8; i++)
        pf_pool_died(&f.pool, i, SIGKILL, NOW);
    assert_int_equal(pf_rollover_room(&f.pool, &f.policy), 10); /* those that stay */
    bring_all(&f, "iiiiiiiii");
    assert_true(pf_rollover_is_on(&f.pool));
    assert_int_equal(pf_rollover_room(&f.pool, &f.policy), 1);
    pf_pool_died(&f.pool, 8, SIGKILL, NOW);
    assert_false(pf_rollover_is_on(&f.pool));
    assert_int_equal(pf_rollover_room(&f.pool, &f.policy), 1);
}

static void
a_full_table_gives_no_room(void **state)
{
    static struct fixture f;
    char letters[SLOTS + 1] = {0};

    (void)state;
    memset(letters, 'i', SLOTS);
    draw(&f, &dynamic, letters);
    f.policy.max_servers = SLOTS;
    pf_pool_outdate(&f.pool);
    assert_int_equal(pf_rollover_room(&f.pool, &f.policy), 0);
}

/* ---- the size that is kept
 * ------------------------------------------------------------------------- */

static void
a_surplus_is_not_replaced(void **state)
{
    static struct fixture f;

    (void)state;
    draw(&f, &dynamic, "iiiii");
    pf_pool_outdate(&f.pool);
    f.pool.surplus = 2;
    f.pool.surplus_reason = PF_REASON_QUIET;
    f.policy.spare_timeout = PF_NEVER;
    pf_pool_asked(&f.pool, 0, PF_REASON_QUIET, NOW);
    assert_int_equal(f.pool.rollover.size, 4);
    pf_pool_asked(&f.pool, 1, PF_REASON_MAX_REQUESTS, NOW);
    assert_int_equal(f.pool.rollover.size, 4);
}

static void
a_second_restart_takes_them_all(void **state)
{
    static struct fixture f;

    (void)state;
    draw(&f, &dynamic, "iii");
    pf_pool_outdate(&f.pool);
    bring(&f, 'i');
    pf_pool_outdate(&f.pool);
    assert_int_equal(f.pool.rollover.size, 3);
    assert_int_equal(f.pool.rollover.alive, 4);
    assert_string_equal(plan(&f, NOW), "ask0");
    bring_all(&f, "ii"); /* the load grew */
    pf_pool_outdate(&f.pool);
    assert_int_equal(f.pool.rollover.size, 5);
}

/* Above an older generation. */
static void
a_failed_generation_just_leaves(void **state)
{
    static struct fixture f;

    (void)state;
    draw(&f, &dynamic, "ibi");
    bring_all(&f, "sis");
    pf_pool_outdate_range(&f.pool, 3, 6);
    assert_string_equal(plan(&f, NOW), "ask4 ask3 ask5");
    assert_false(pf_pool_is_outdated(&f.pool, &f.slots[2]));
    pf_pool_died(&f.pool, 3, SIGSEGV, NOW);
    assert_int_equal(f.pool.start.streak, 0); /* it says nothing of the others */
}

/* Between those that failed and those that are on their way out already. */
static void
a_generation_between_two_ranges_stays(void **state)
{
    static struct fixture f;

    (void)state;
    draw(&f, &dynamic, "b");
    pf_pool_outdate(&f.pool);
    bring_all(&f, "ii");
    pf_pool_asked(&f.pool, 0, PF_REASON_OUTDATED, NOW); /* and it takes its time */
    bring_all(&f, "s");
    pf_pool_outdate_range(&f.pool, 3, 4);
    assert_true(f.pool.outdated_after == 3 && f.pool.outdated == 4);
    assert_false(pf_pool_is_outdated(&f.pool, &f.slots[1]));
    assert_string_equal(plan(&f, NOW), "ask3");
}

static void
ranges_become_one(void **state)
{
    static struct fixture f;

    (void)state;
    draw(&f, &dynamic, "iii");
    pf_pool_outdate(&f.pool);
    bring_all(&f, "ii");
    pf_pool_outdate_range(&f.pool, 4, 5);
    assert_true(f.pool.outdated_after == 0 && f.pool.outdated == 5);
    for (unsigned i = 0; i < 5; i++)
        pf_pool_died(&f.pool, i, SIGKILL, NOW);
    bring_all(&f, "ii");
    pf_pool_outdate_range(&f.pool, 6, 7);
    assert_true(f.pool.outdated_after == 6 && f.pool.outdated == 7);
}

/* After TTOU outdated ones go as others are ready, and not for that. */
static void
max_servers_is_for_those_that_stay(void **state)
{
    static struct fixture f;

    (void)state;
    draw(&f, &dynamic, "iiiii");
    pf_pool_outdate(&f.pool);
    f.policy.max_servers = 3;
    assert_string_equal(plan(&f, NOW), "ask0 ask1");
    assert_int_equal(f.plan.actions[0].reason, PF_REASON_OUTDATED);
    bring_all(&f, "iiii");
    assert_string_equal(plan(&f, NOW), "ask0");
    assert_int_equal(f.plan.actions[0].reason, PF_REASON_OVER_MAX);
}

/* ---- those that do not leave
 * -------------------------------------------------------------------------- */

static void
who_does_not_leave_is_ended(void **state)
{
    static struct fixture f;

    (void)state;
    draw(&f, &dynamic, "bbb");
    pf_pool_outdate(&f.pool);
    bring(&f, 'i');
    pf_pool_asked(&f.pool, 0, PF_REASON_OUTDATED, NOW);
    assert_string_equal(plan(&f, NOW + 30 * S - 1), "");
    assert_true(f.plan.deadline == NOW + 30 * S);
    f.policy.leave_children_open = true;
    assert_string_equal(plan(&f, NOW + 30 * S), "+");
    f.policy.leave_children_open = false;
    assert_string_equal(plan(&f, NOW + 30 * S), "term0");
    assert_int_equal(f.plan.actions[0].reason, PF_REASON_SLOW_LEAVE);
    pf_pool_signalled(&f.pool, 0, PF_STEP_TERM, PF_REASON_SLOW_LEAVE, NOW + 30 * S);
    assert_string_equal(plan(&f, NOW + 33 * S), "kill0");
}

static void
who_leaves_already_is_hurried(void **state)
{
    static struct fixture f;

    (void)state;
    draw(&f, &dynamic, "bbb");
    pf_pool_asked(&f.pool, 0, PF_REASON_MAX_REQUESTS, NOW - 100 * S);
    pf_pool_outdate(&f.pool);
    bring(&f, 's');
    assert_string_equal(plan(&f, NOW), "");
    assert_int_equal(f.slots[0].reason, PF_REASON_OUTDATED);
    assert_true(f.slots[0].asked == NOW);
    assert_true(f.plan.want_ready);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans),
        cmocka_unit_test(the_ceiling_falls_with_the_last_of_them),
        cmocka_unit_test(a_full_table_gives_no_room),
        cmocka_unit_test(a_surplus_is_not_replaced),
        cmocka_unit_test(a_second_restart_takes_them_all),
        cmocka_unit_test(a_failed_generation_just_leaves),
        cmocka_unit_test(a_generation_between_two_ranges_stays),
        cmocka_unit_test(ranges_become_one),
        cmocka_unit_test(max_servers_is_for_those_that_stay),
        cmocka_unit_test(who_does_not_leave_is_ended),
        cmocka_unit_test(who_leaves_already_is_hurried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
