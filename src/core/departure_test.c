/* Workers whose client has gone: who is signalled, how, and for how long it counts. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "core/departure.h"
#include "core/plan.h"

enum { SLOTS = 4 };

#define NOW (100 * PF_SECOND)

static const struct step_case {
    const char *name;
    enum pf_departure_policy policy;
    enum pf_life life;
    bool client_gone;
    enum pf_kind kind;
    enum pf_step step;
} cases[] = {
    {"ignored", PF_DEPARTURE_IGNORE, PF_LIFE_BUSY, true, PF_KIND_WORKER, PF_STEP_NONE},
    {"only told", PF_DEPARTURE_TELL, PF_LIFE_BUSY, true, PF_KIND_WORKER, PF_STEP_NONE},
    {"signal", PF_DEPARTURE_TERM, PF_LIFE_BUSY, true, PF_KIND_WORKER, PF_STEP_TERM},
    {"kill", PF_DEPARTURE_KILL, PF_LIFE_BUSY, true, PF_KIND_WORKER, PF_STEP_KILL},
    {"still there", PF_DEPARTURE_KILL, PF_LIFE_BUSY, false, PF_KIND_WORKER, PF_STEP_NONE},
    {"asked to leave", PF_DEPARTURE_TERM, PF_LIFE_DRAINING, true, PF_KIND_WORKER,
     PF_STEP_TERM},
    {"a program that tells nothing", PF_DEPARTURE_TERM, PF_LIFE_IDLE, true, PF_KIND_WORKER,
     PF_STEP_TERM},
    {"on the ladder", PF_DEPARTURE_KILL, PF_LIFE_STOPPING, true, PF_KIND_WORKER,
     PF_STEP_NONE},
    {"not ready", PF_DEPARTURE_KILL, PF_LIFE_STARTING, true, PF_KIND_WORKER, PF_STEP_NONE},
    {"dead", PF_DEPARTURE_KILL, PF_LIFE_GONE, true, PF_KIND_WORKER, PF_STEP_NONE},
    {"a dequeue process", PF_DEPARTURE_KILL, PF_LIFE_BUSY, true, PF_KIND_DEQUEUE,
     PF_STEP_NONE},
};

static void
steps(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        const struct step_case *c = &cases[i];
        const struct pf_slot slot = {
            .life = c->life, .kind = c->kind, .client_gone = c->client_gone};
        const struct pf_policy policy = {.on_departure = c->policy};
        if (pf_departure_step(&slot, &policy) != c->step)
            fail_msg("%s", c->name);
    }
}

struct fixture {
    struct pf_slot slots[SLOTS];
    struct pf_pool pool;
    struct pf_policy policy;
    struct pf_plan plan;
};

static void
tell(struct fixture *f, bool busy, uint64_t requests)
{
    pf_pool_told(
        &f->pool, 0,
        &(struct pf_told){.ready = true, .busy = busy, .requests = requests, .since = NOW});
}

/* One worker, at its third connection. */
static void
open(struct fixture *f)
{
    f->policy = (struct pf_policy){.sizing = PF_SIZING_STATIC,
                                   .on_departure = PF_DEPARTURE_TERM,
                                   .min_servers = 1,
                                   .max_servers = 1,
                                   .max_recycling = 1,
                                   .start_timeout = PF_NEVER,
                                   .request_timeout = PF_NEVER,
                                   .kill_timeout = 3 * PF_SECOND};
    pf_pool_init(&f->pool, f->slots, SLOTS, 1, NOW);
    pf_pool_born(&f->pool, 0, PF_KIND_WORKER, 1000, NOW);
    tell(f, true, 3);
}

static void
make(struct fixture *f)
{
    pf_plan_make(&f->plan, &f->pool, &f->policy, NOW);
}

static void
it_is_planned_once(void **state)
{
    static struct fixture f;

    (void)state;
    open(&f);
    pf_pool_client_gone(&f.pool, 0);
    tell(&f, true, 3); /* as the turn goes on */
    make(&f);
    assert_int_equal(f.plan.count, 1);
    assert_int_equal(f.plan.actions[0].kind, PF_ACTION_TERM);
    assert_int_equal(f.plan.actions[0].reason, PF_REASON_CLIENT_GONE);
    make(&f); /* it was not acted on: the connection was over */
    assert_int_equal(f.plan.count, 0);
}

static void
it_is_forgotten_with_the_connection(void **state)
{
    static struct fixture f;

    (void)state;
    open(&f);
    pf_pool_client_gone(&f.pool, 0);
    tell(&f, false, 3);
    make(&f);
    assert_int_equal(f.plan.count, 0);
    tell(&f, true, 4);
    pf_pool_client_gone(&f.pool, 0);
    tell(&f, true, 5);
    make(&f);
    assert_int_equal(f.plan.count, 0);
}

static void
its_end_is_no_bad_start(void **state)
{
    static struct fixture f;

    (void)state;
    open(&f);
    pf_pool_signalled(&f.pool, 0, PF_STEP_TERM, PF_REASON_CLIENT_GONE, NOW);
    pf_pool_died(&f.pool, 0, 1 << 8, NOW);
    assert_int_not_equal(f.slots[0].reason, PF_REASON_BAD_START);
    assert_int_equal(f.pool.start.streak, 0);
    make(&f);
    assert_int_equal(f.plan.count, 2); /* buried and replaced */
    assert_int_equal(f.plan.actions[1].kind, PF_ACTION_BIRTH);
}

static void
the_ladder_follows(void **state)
{
    static struct fixture f;

    (void)state;
    open(&f);
    pf_pool_signalled(&f.pool, 0, PF_STEP_TERM, PF_REASON_CLIENT_GONE, NOW - 3 * PF_SECOND);
    make(&f);
    assert_int_equal(f.plan.actions[0].kind, PF_ACTION_KILL);
    assert_int_equal(f.plan.actions[0].reason, PF_REASON_STILL_THERE);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps),
        cmocka_unit_test(it_is_planned_once),
        cmocka_unit_test(it_is_forgotten_with_the_connection),
        cmocka_unit_test(its_end_is_no_bad_start),
        cmocka_unit_test(the_ladder_follows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
