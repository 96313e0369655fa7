/* Plans: from a pool that is drawn as a row of letters to a row of actions. */

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
#include "core/shutdown.h"

#include <string.h>

enum { SLOTS = 300 };

#define S   PF_SECOND
#define NOW (1000 * S)

static const struct pf_policy base = {
    .sizing = PF_SIZING_DYNAMIC,
    .min_servers = 3,
    .min_spare_servers = 1,
    .max_spare_servers = 5,
    .max_servers = 10,
    .max_recycling = 2,
    .check_for_waiting = 10 * S,
    .spare_timeout = 30 * S,
    .check_for_spawn = 30 * S,
    .start_timeout = 60 * S,
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
say(struct fixture *f, unsigned slot, bool busy, bool wants_leave)
{
    pf_pool_told(&f->pool, slot,
                 &(struct pf_told){.ready = true,
                                   .busy = busy,
                                   .wants_leave = wants_leave,
                                   .requests = 1,
                                   .since = NOW - 10 * S + slot});
}

/* s starting, l starting for too long, i idle, b busy, w idle and wants to leave,
 * W busy and wants to leave, d asked, t terminated, g gone. */
static void
bring(struct fixture *f, unsigned slot, char letter)
{
    struct pf_pool *p = &f->pool;

    pf_pool_born(p, slot, PF_KIND_WORKER, 1000,
                 letter == 'l' ? NOW - 60 * S : NOW - 20 * S);
    if (strchr("ibwWdtg", letter))
        say(f, slot, letter == 'b' || letter == 'W', letter == 'w' || letter == 'W');
    if (letter == 'd')
        pf_pool_asked(p, slot, PF_REASON_QUIET, NOW);
    if (letter == 't')
        pf_pool_signalled(p, slot, PF_STEP_TERM, PF_REASON_STOP, NOW - 3 * S);
    if (letter == 'g')
        pf_pool_died(p, slot, 0, NOW);
}

static void
draw(struct fixture *f, const char *letters, const struct pf_policy *policy)
{
    f->policy = *policy;
    pf_pool_init(&f->pool, f->slots, SLOTS, 1, NOW);
    for (unsigned i = 0; letters[i]; i++)
        bring(f, i, letters[i]);
}

/* Actions as words: "ask0", "+" for a birth. */
static const char *
words(const struct pf_plan *plan)
{
    static const char *const names[] = {"bury", "doors", "ask",    "term",
                                        "kill", "+",     "dequeue"};
    static char buffer[4096];
    struct pf_text t;

    pf_text_init(&t, buffer, sizeof buffer);
    for (unsigned i = 0; i < plan->count; i++) {
        const struct pf_action *a = &plan->actions[i];
        pf_text_add(&t, "%s%s", i > 0 ? " " : "", names[a->kind]);
        if (a->kind != PF_ACTION_BIRTH && a->kind != PF_ACTION_DEQUEUE &&
            a->kind != PF_ACTION_CLOSE_DOORS)
            pf_text_add(&t, "%u", a->slot);
    }
    return buffer;
}

static void
make(struct fixture *f)
{
    pf_plan_make(&f->plan, &f->pool, &f->policy, NOW);
}

static const struct plan_case {
    const char *name;
    const char *pool;
    unsigned queued;
    unsigned surplus;
    unsigned outdated; /* births up to this one */
    enum pf_stop stop;
    const char *actions;
} cases[] = {
    {"at first", "", 0, 0, 0, PF_STOP_NONE, "+ + +"},
    {"all is well", "iib", 0, 0, 0, PF_STOP_NONE, ""},
    {"the dead are buried before their slots are needed", "gib", 0, 0, 0, PF_STOP_NONE,
     "bury0 +"},
    {"too slow a start", "lii", 0, 0, 0, PF_STOP_NONE, "term0"},
    {"SIGTERM did not help", "tiii", 0, 0, 0, PF_STOP_NONE, "kill0"},
    {"a queue", "bbb", 4, 0, 0, PF_STOP_NONE, "+ + + + +"},
    {"a queue and hardly any room", "bbbbbbbbd", 4, 0, 0, PF_STOP_NONE, "+"},
    {"full", "bbbbbbbbbb", 4, 0, 0, PF_STOP_NONE, ""},
    {"over max after TTOU: the longest idle first", "bbiibbbbbbbb", 0, 0, 0, PF_STOP_NONE,
     "ask2 ask3"},
    {"over max, nobody idle: busy ones", "bbbbbbbbbbbs", 0, 0, 0, PF_STOP_NONE,
     "ask0 ask1"},
    {"served their share: two at a time", "wWwib", 0, 0, 0, PF_STOP_NONE, "ask0 ask1"},
    {"one who starts takes room", "wWwisb", 0, 0, 0, PF_STOP_NONE, "ask0"},
    {"outdated: first somebody is born", "iib", 0, 0, 2, PF_STOP_NONE, "+"},
    {"surplus: the longest idle", "iiiii", 0, 2, 0, PF_STOP_NONE, "ask0 ask1"},
    {"surplus that went busy is needed", "bbbbi", 0, 3, 0, PF_STOP_NONE, "ask4"},
    {"graceful: everybody is asked, then the doors", "sibd", 0, 0, 0, PF_STOP_GRACEFUL,
     "ask0 ask1 ask2 doors"},
    {"no birth while stopping", "g", 9, 0, 0, PF_STOP_FAST, "bury0 doors"},
    {"SIGTERM to who is left", "ibdt", 0, 0, 0, PF_STOP_TERM, "term0 term1 term2 doors"},
    {"SIGKILL to who is left", "idt", 0, 0, 0, PF_STOP_KILL, "kill0 kill1 kill2 doors"},
};

static void
plans(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        const struct plan_case *c = &cases[i];
        static struct fixture f;
        draw(&f, c->pool, &base);
        f.pool.queued = c->queued;
        f.pool.surplus = c->surplus;
        pf_pool_outdate_range(&f.pool, 0, c->outdated);
        f.pool.stop = c->stop;
        f.pool.stop_since = NOW;
        make(&f);
        if (strcmp(words(&f.plan), c->actions) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", c->name, words(&f.plan), c->actions);
    }
}

static void
a_signalled_worker_has_a_deadline(void **state)
{
    static struct fixture f;

    (void)state;
    draw(&f, "lii", &base);
    make(&f);
    pf_pool_signalled(&f.pool, 0, PF_STEP_TERM, f.plan.actions[0].reason, NOW);
    make(&f);
    assert_string_equal(words(&f.plan), "+");
    assert_true(f.plan.deadline <= NOW + base.kill_timeout);
}

static void
carry_out(struct fixture *f, const struct pf_action *a)
{
    if (a->kind == PF_ACTION_BIRTH)
        bring(f, pf_pool_vacant(&f->pool), 'i');
    else if (a->kind == PF_ACTION_BURY)
        pf_pool_buried(&f->pool, a->slot);
    else
        pf_pool_died(&f->pool, a->slot, 0, NOW);
}

/* At last the pool is as it was, and nobody is of the old generation. */
static void
a_pool_is_replaced_one_by_one(void **state)
{
    static struct fixture f;
    unsigned births = 0;

    (void)state;
    draw(&f, "iib", &base);
    pf_pool_outdate(&f.pool);
    for (make(&f); f.plan.count > 0; make(&f)) {
        for (unsigned i = 0; i < f.plan.count; i++) {
            births += f.plan.actions[i].kind == PF_ACTION_BIRTH;
            carry_out(&f, &f.plan.actions[i]);
            assert_in_range(pf_pool_serving(&f.pool), 3, 4);
        }
    }
    assert_int_equal(births, 3);
    assert_int_equal(pf_pool_serving(&f.pool), 3);
    assert_false(pf_rollover_is_on(&f.pool));
}

static void
births_come_in_portions(void **state)
{
    static struct fixture f;
    struct pf_policy policy = base;

    (void)state;
    policy.min_servers = policy.max_servers = 100;
    draw(&f, "", &policy);
    make(&f);
    assert_int_equal(f.plan.count, PF_PLAN_BIRTHS_MAX);
    assert_true(f.plan.deadline == NOW);
}

static void
a_full_plan_goes_on_in_the_next_turn(void **state)
{
    static struct fixture f;
    char letters[SLOTS] = {0};

    (void)state;
    memset(letters, 'i', 200);
    draw(&f, letters, &base);
    pf_shutdown_ask(&f.pool, PF_STOP_FAST, NOW);
    make(&f);
    assert_int_equal(f.plan.count, PF_PLAN_ACTIONS_MAX);
    assert_true(f.plan.deadline == NOW);
}

static void
after_bad_starts_one_at_a_time(void **state)
{
    static struct fixture f;

    (void)state;
    draw(&f, "", &base);
    f.pool.start = (struct pf_backoff){
        .forgiven = 1, .streak = 2, .first = S, .longest = S, .next_at = NOW + S};
    make(&f);
    assert_string_equal(words(&f.plan), "");
    assert_true(f.plan.deadline == NOW + S);
    f.pool.start.next_at = NOW;
    make(&f);
    assert_string_equal(words(&f.plan), "+");
    assert_int_equal(f.plan.actions[0].reason, PF_REASON_PROBE);
    pf_pool_born(&f.pool, 0, PF_KIND_WORKER, 1000, NOW - 30 * S); /* takes long to start */
    make(&f);
    assert_string_equal(words(&f.plan), "");
}

static void
after_a_refused_fork_there_is_a_pause(void **state)
{
    static struct fixture f;

    (void)state;
    draw(&f, "", &base);
    pf_pool_fork_failed(&f.pool, NOW);
    make(&f);
    assert_string_equal(words(&f.plan), "");
    assert_true(f.plan.deadline == f.pool.fork.next_at);
}

/* A pool at rest with dequeue processes: d dequeue, o outdated, g gone. */
static void
draw_dequeues(struct fixture *f, const char *letters, unsigned most)
{
    struct pf_policy policy = base;

    policy.max_dequeue = most;
    policy.check_for_dequeue = 10 * S;
    draw(f, "iib", &policy);
    for (unsigned i = 0; letters[i]; i++) {
        pf_pool_born(&f->pool, 3 + i, PF_KIND_DEQUEUE, 1000, NOW - 20 * S);
        if (letters[i] == 'g')
            pf_pool_died(&f->pool, 3 + i, 1 << 8, NOW);
        if (letters[i] == 'o')
            pf_pool_outdate(&f->pool);
    }
}

static const struct {
    const char *name;
    const char *dequeues;
    unsigned most;
    pf_time last; /* so long ago */
    enum pf_stop stop;
    const char *actions;
    pf_time at; /* of the next one; PF_NEVER: it does not matter */
} dequeue_cases[] = {
    {"due", "", 1, 10 * S, PF_STOP_NONE, "dequeue", PF_NEVER},
    {"one at a time", "", 9, 99 * S, PF_STOP_NONE, "dequeue", PF_NEVER},
    {"not yet", "", 1, 9 * S, PF_STOP_NONE, "", NOW + S},
    {"as many as may be", "dd", 2, 99 * S, PF_STOP_NONE, "", PF_NEVER},
    {"one more", "dd", 3, 99 * S, PF_STOP_NONE, "dequeue", PF_NEVER},
    {"a dead one takes no place", "dg", 2, 99 * S, PF_STOP_NONE, "bury4 dequeue", PF_NEVER},
    {"it may take long", "d", 1, 99 * S, PF_STOP_NONE, "", PF_NEVER},
    {"from before a restart", "o", 1, 99 * S, PF_STOP_NONE, "+ ask3", PF_NEVER},
    {"none while stopping", "dd", 9, 99 * S, PF_STOP_FAST, "ask0 ask1 ask2 ask3 ask4 doors",
     PF_NEVER},
};

static void
dequeues(void **state)
{
    static struct fixture f;

    (void)state;
    for (size_t i = 0; i < PF_COUNT(dequeue_cases); i++) {
        draw_dequeues(&f, dequeue_cases[i].dequeues, dequeue_cases[i].most);
        f.pool.last_dequeue = NOW - dequeue_cases[i].last;
        if (dequeue_cases[i].stop != PF_STOP_NONE)
            pf_shutdown_ask(&f.pool, dequeue_cases[i].stop, NOW);
        make(&f);
        if (strcmp(words(&f.plan), dequeue_cases[i].actions) != 0)
            fail_msg("%s: \"%s\"", dequeue_cases[i].name, words(&f.plan));
        if (dequeue_cases[i].at != PF_NEVER)
            assert_true(f.plan.deadline == dequeue_cases[i].at);
    }
}

static void
after_a_refused_fork_a_dequeue_waits_too(void **state)
{
    static struct fixture f;

    (void)state;
    draw_dequeues(&f, "", 1);
    f.pool.last_dequeue = NOW - 20 * S;
    pf_pool_fork_failed(&f.pool, NOW);
    make(&f);
    assert_string_equal(words(&f.plan), "");
    assert_true(f.plan.deadline == f.pool.fork.next_at);
}

static void
doors_are_watched_when_nobody_else_does(void **state)
{
    static struct fixture f;
    struct pf_policy policy = base;

    (void)state;
    policy.min_spare_servers = 0;
    draw(&f, "bbb", &policy);
    make(&f);
    assert_true(f.plan.watch_doors);
    assert_int_equal(f.plan.wake_below, 1);
    draw(&f, "bbi", &policy);
    make(&f);
    assert_false(f.plan.watch_doors);
}

static void
who_starts_is_not_trusted_for_long(void **state)
{
    static struct fixture f;

    (void)state;
    draw(&f, "bbs", &base);
    make(&f);
    assert_false(f.plan.watch_doors);
    assert_true(f.plan.deadline <= NOW + S);
}

static void
equal_input_equal_plan(void **state)
{
    static struct fixture f;
    static struct fixture g;

    (void)state;
    draw(&f, "gliwWbbisd", &base);
    draw(&g, "gliwWbbisd", &base);
    make(&f);
    make(&g);
    assert_string_equal(words(&f.plan), words(&g.plan));
    assert_true(f.plan.deadline == g.plan.deadline);
}

static void
finished(void **state)
{
    static struct fixture f;

    (void)state;
    draw(&f, "", &base);
    pf_shutdown_ask(&f.pool, PF_STOP_GRACEFUL, NOW);
    make(&f);
    assert_string_equal(words(&f.plan), "doors");
    assert_true(f.plan.finished);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans),
        cmocka_unit_test(a_signalled_worker_has_a_deadline),
        cmocka_unit_test(a_pool_is_replaced_one_by_one),
        cmocka_unit_test(births_come_in_portions),
        cmocka_unit_test(a_full_plan_goes_on_in_the_next_turn),
        cmocka_unit_test(after_bad_starts_one_at_a_time),
        cmocka_unit_test(after_a_refused_fork_there_is_a_pause),
        cmocka_unit_test(dequeues),
        cmocka_unit_test(after_a_refused_fork_a_dequeue_waits_too),
        cmocka_unit_test(doors_are_watched_when_nobody_else_does),
        cmocka_unit_test(who_starts_is_not_trusted_for_long),
        cmocka_unit_test(equal_input_equal_plan),
        cmocka_unit_test(finished),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
