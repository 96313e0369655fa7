/* How many workers: growth, dips, low water, on demand, TTIN and TTOU. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "core/size.h"

enum { SLOTS = 64 };

#define S   PF_SECOND
#define NOW (1000 * S)

static const struct pf_policy dynamic = {
    .sizing = PF_SIZING_DYNAMIC,
    .min_servers = 5,
    .min_spare_servers = 2,
    .max_spare_servers = 10,
    .max_servers = 50,
    .check_for_waiting = 10 * S,
    .spare_timeout = 30 * S,
    .min_child_ttl = 5 * S,
};
static const struct pf_policy fixed = {
    .sizing = PF_SIZING_STATIC, .min_servers = 8, .max_servers = 8};
static const struct pf_policy on_demand = {
    .sizing = PF_SIZING_ONDEMAND,
    .max_spare_servers = 4,
    .max_servers = 10,
    .check_for_waiting = 10 * S,
    .spare_timeout = 30 * S,
};

struct fixture {
    struct pf_slot slots[SLOTS];
    struct pf_pool pool;
};

static void
add(struct fixture *f, unsigned count, enum pf_life life)
{
    for (; count > 0; count--) {
        unsigned slot = pf_pool_vacant(&f->pool);
        pf_pool_born(&f->pool, slot, PF_KIND_WORKER, 1000, NOW - 100 * S);
        if (life == PF_LIFE_IDLE || life == PF_LIFE_BUSY)
            pf_pool_told(&f->pool, slot,
                         &(struct pf_told){.ready = true, .busy = life == PF_LIFE_BUSY});
        if (life == PF_LIFE_DRAINING)
            pf_pool_asked(&f->pool, slot, PF_REASON_QUIET, NOW);
    }
}

static void
fill(struct fixture *f, unsigned starting, unsigned idle, unsigned busy, unsigned draining)
{
    pf_pool_init(&f->pool, f->slots, SLOTS, 1, NOW);
    add(f, starting, PF_LIFE_STARTING);
    add(f, idle, PF_LIFE_IDLE);
    add(f, busy, PF_LIFE_BUSY);
    add(f, draining, PF_LIFE_DRAINING);
}

/* ---- births -----------------------------------------------------------------------------
 */

static const struct birth {
    const char *name;
    const struct pf_policy *policy;
    unsigned starting, idle, busy, draining, queued;
    unsigned lowest; /* idle since the last look */
    unsigned births;
    enum pf_reason reason;
} births[] = {
    {"at first", &dynamic, 0, 0, 0, 0, 0, UINT_MAX, 5, PF_REASON_MIN_SERVERS},
    {"below the floor", &dynamic, 0, 3, 0, 0, 0, UINT_MAX, 2, PF_REASON_MIN_SERVERS},
    {"who starts counts", &dynamic, 5, 0, 0, 0, 0, UINT_MAX, 0, PF_REASON_NONE},
    {"who leaves does not", &dynamic, 0, 4, 0, 3, 0, UINT_MAX, 1, PF_REASON_MIN_SERVERS},
    {"enough idle", &dynamic, 0, 2, 10, 0, 0, UINT_MAX, 0, PF_REASON_NONE},
    {"one idle too few", &dynamic, 0, 1, 10, 0, 0, UINT_MAX, 1, PF_REASON_SPARE},
    {"none idle", &dynamic, 0, 0, 10, 0, 0, UINT_MAX, 2, PF_REASON_SPARE},
    {"none idle, one starts", &dynamic, 1, 0, 10, 0, 0, UINT_MAX, 1, PF_REASON_SPARE},
    {"a queue", &dynamic, 0, 0, 10, 0, 20, UINT_MAX, 22, PF_REASON_QUEUE},
    {"a queue some will take", &dynamic, 10, 0, 10, 0, 20, UINT_MAX, 12, PF_REASON_QUEUE},
    {"a long queue", &dynamic, 0, 0, 10, 0, 4000, UINT_MAX, 40, PF_REASON_QUEUE},
    {"a long queue, some leave", &dynamic, 0, 0, 10, 5, 4000, UINT_MAX, 35,
     PF_REASON_QUEUE},
    {"full", &dynamic, 0, 0, 50, 0, 4000, UINT_MAX, 0, PF_REASON_NONE},
    {"a dip that is over", &dynamic, 0, 3, 10, 0, 0, 1, 1, PF_REASON_SPARE},
    {"a dip that is over, one starts", &dynamic, 1, 3, 10, 0, 0, 0, 0, PF_REASON_NONE},
    {"a dip to the bound is none", &dynamic, 0, 3, 10, 0, 0, 2, 0, PF_REASON_NONE},
    {"static", &fixed, 0, 3, 1, 0, 0, UINT_MAX, 4, PF_REASON_MIN_SERVERS},
    {"static, some leave", &fixed, 0, 3, 1, 2, 0, UINT_MAX, 2, PF_REASON_MIN_SERVERS},
    {"static and full, a queue", &fixed, 0, 0, 8, 0, 99, 0, 0, PF_REASON_NONE},
    {"on demand, no demand", &on_demand, 0, 0, 0, 0, 0, UINT_MAX, 0, PF_REASON_NONE},
    {"on demand, the first", &on_demand, 0, 0, 0, 0, 1, UINT_MAX, 1, PF_REASON_QUEUE},
    {"on demand, keeps a spare", &on_demand, 0, 0, 2, 0, 0, UINT_MAX, 1, PF_REASON_SPARE},
};

static void
births_are_due(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(births); i++) {
        const struct birth *b = &births[i];
        enum pf_reason reason = PF_REASON_NONE;
        struct fixture f;
        unsigned n;
        fill(&f, b->starting, b->idle, b->busy, b->draining);
        f.pool.queued = b->queued;
        f.pool.idle_lowest = b->lowest;
        n = pf_size_births(&f.pool, b->policy, &reason);
        if (n != b->births || reason != b->reason)
            fail_msg("%s: %u births, %s", b->name, n, pf_reason_text(reason));
    }
}

/* ---- shrinking
 * ----------------------------------------------------------------------------- */

static const struct window {
    const char *name;
    const struct pf_policy *policy;
    unsigned idle, busy;
    unsigned dip; /* lowest idle count on the way; UINT_MAX: none */
    pf_time later;
    unsigned surplus;
    enum pf_reason reason;
} windows[] = {
    {"too early", &dynamic, 20, 10, UINT_MAX, 9 * S, 0, PF_REASON_NONE},
    {"more than max_spare", &dynamic, 20, 10, UINT_MAX, 10 * S, 10, PF_REASON_MAX_SPARE},
    {"needed once", &dynamic, 20, 10, 9, 10 * S, 0, PF_REASON_NONE},
    {"some needed once", &dynamic, 20, 10, 13, 10 * S, 3, PF_REASON_MAX_SPARE},
    {"max_spare is tolerated", &dynamic, 10, 10, UINT_MAX, 10 * S, 0, PF_REASON_NONE},
    {"but not for ever", &dynamic, 10, 10, UINT_MAX, 30 * S, 8, PF_REASON_QUIET},
    {"the floor stays", &dynamic, 7, 0, UINT_MAX, 30 * S, 2, PF_REASON_QUIET},
    {"static never shrinks", &fixed, 8, 0, UINT_MAX, 9000 * S, 0, PF_REASON_NONE},
    {"on demand, unused", &on_demand, 3, 0, UINT_MAX, 30 * S, 3, PF_REASON_QUIET},
    {"on demand, used once", &on_demand, 3, 0, 2, 30 * S, 1, PF_REASON_QUIET},
    {"on demand, in use", &on_demand, 3, 1, UINT_MAX, 30 * S, 2, PF_REASON_QUIET},
};

static void
what_was_never_needed_can_go(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(windows); i++) {
        const struct window *w = &windows[i];
        struct fixture f;
        fill(&f, 0, w->idle, w->busy, 0);
        f.pool.idle_lowest = w->dip;
        pf_size_watch(&f.pool, w->policy, NOW + S);
        f.pool.idle_lowest = UINT_MAX;
        pf_size_watch(&f.pool, w->policy, NOW + w->later);
        if (f.pool.surplus != w->surplus || f.pool.surplus_reason != w->reason)
            fail_msg("%s: %u, %s", w->name, f.pool.surplus,
                     pf_reason_text(f.pool.surplus_reason));
    }
}

static void
nobody_goes_soon_after_a_birth(void **state)
{
    struct fixture f;

    (void)state;
    fill(&f, 0, 20, 10, 0);
    f.pool.last_birth = NOW + 8 * S;
    pf_size_watch(&f.pool, &dynamic, NOW + 12 * S);
    assert_int_equal(f.pool.surplus, 0);
    assert_true(pf_size_watch_at(&f.pool, &dynamic) == NOW + 13 * S);
    pf_size_watch(&f.pool, &dynamic, NOW + 13 * S);
    assert_int_equal(f.pool.surplus, 10);
}

static void
on_demand_without_spares_does_not_swing(void **state)
{
    struct pf_policy policy = on_demand;
    enum pf_reason reason;
    struct fixture f;

    (void)state;
    policy.max_spare_servers = 0;
    fill(&f, 0, 3, 1, 0);
    pf_size_watch(&f.pool, &policy, NOW + 10 * S);
    assert_int_equal(f.pool.surplus, 2); /* the one that is kept ready stays */
    fill(&f, 0, 1, 1, 0);
    assert_int_equal(pf_size_births(&f.pool, &policy, &reason), 0);
}

static void
the_next_window_is_waited_for(void **state)
{
    struct fixture f;

    (void)state;
    fill(&f, 0, 20, 0, 0);
    assert_true(pf_size_watch_at(&f.pool, &dynamic) == NOW + 10 * S);
    f.pool.quiet.started = NOW - 25 * S;
    assert_true(pf_size_watch_at(&f.pool, &dynamic) == NOW + 5 * S);
    fill(&f, 0, 5, 0, 0);
    assert_true(pf_size_watch_at(&f.pool, &dynamic) == PF_NEVER);
    fill(&f, 0, 8, 0, 0);
    assert_true(pf_size_watch_at(&f.pool, &fixed) == PF_NEVER);
}

/* ---- bounds
 * ------------------------------------------------------------------------------------ */

static void
who_should_wake_the_master(void **state)
{
    struct fixture f;

    (void)state;
    fill(&f, 0, 5, 0, 0);
    assert_int_equal(pf_size_wake_below(&f.pool, &dynamic), 2);
    assert_int_equal(pf_size_wake_below(&f.pool, &fixed), 0);
    fill(&f, 0, 0, 50, 0);
    assert_int_equal(pf_size_wake_below(&f.pool, &dynamic), 0);
    fill(&f, 0, 0, 0, 0);
    assert_int_equal(pf_size_wake_below(&f.pool, &on_demand), 1);
}

static const struct step {
    const char *name;
    enum pf_sizing sizing;
    unsigned min, spare, spares, max;
    int direction;
    bool done;
    unsigned to_min, to_spare, to_spares, to_max;
} steps[] = {
    {"up", PF_SIZING_DYNAMIC, 5, 2, 10, 50, +1, true, 6, 2, 10, 51},
    {"up to the limit", PF_SIZING_DYNAMIC, 5, 2, 10, 64, +1, false, 5, 2, 10, 64},
    {"down", PF_SIZING_DYNAMIC, 5, 2, 10, 50, -1, true, 4, 2, 10, 49},
    {"down to one", PF_SIZING_DYNAMIC, 1, 1, 1, 1, -1, false, 1, 1, 1, 1},
    {"spares go along", PF_SIZING_DYNAMIC, 3, 3, 3, 3, -1, true, 2, 2, 2, 2},
    {"static", PF_SIZING_STATIC, 8, 0, 0, 8, +1, true, 9, 0, 0, 9},
    {"on demand stays empty", PF_SIZING_ONDEMAND, 0, 0, 4, 10, +1, true, 0, 0, 4, 11},
    {"on demand, down", PF_SIZING_ONDEMAND, 0, 0, 4, 10, -1, true, 0, 0, 4, 9},
};

static void
ttin_and_ttou(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(steps); i++) {
        const struct step *s = &steps[i];
        struct pf_policy p = {.sizing = s->sizing,
                              .min_servers = s->min,
                              .min_spare_servers = s->spare,
                              .max_spare_servers = s->spares,
                              .max_servers = s->max};
        bool done = pf_size_step(&p, s->direction, 64);
        if (done != s->done || p.min_servers != s->to_min ||
            p.min_spare_servers != s->to_spare || p.max_spare_servers != s->to_spares ||
            p.max_servers != s->to_max)
            fail_msg("%s: %u %u %u %u", s->name, p.min_servers, p.min_spare_servers,
                     p.max_spare_servers, p.max_servers);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(births_are_due),
        cmocka_unit_test(what_was_never_needed_can_go),
        cmocka_unit_test(nobody_goes_soon_after_a_birth),
        cmocka_unit_test(on_demand_without_spares_does_not_swing),
        cmocka_unit_test(the_next_window_is_waited_for),
        cmocka_unit_test(who_should_wake_the_master),
        cmocka_unit_test(ttin_and_ttou),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
