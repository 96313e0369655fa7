/* When a pool is told to be full: a story in steps, and a table of pools. */

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

enum { SLOTS = 16 };

#define NOW (1000 * PF_SECOND)
#define S   PF_SECOND

static const struct pf_policy dynamic = {.sizing = PF_SIZING_DYNAMIC,
                                         .min_servers = 2,
                                         .min_spare_servers = 1,
                                         .max_servers = 4};
static const struct pf_policy fixed = {
    .sizing = PF_SIZING_STATIC, .min_servers = 4, .max_servers = 4};

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
        if (life != PF_LIFE_STARTING)
            pf_pool_told(&f->pool, slot,
                         &(struct pf_told){.ready = true, .busy = life == PF_LIFE_BUSY});
    }
}

/* The pool as it is now; what was remembered of it stays. */
static void
fill(struct fixture *f, unsigned starting, unsigned idle, unsigned busy)
{
    struct pf_full full = f->pool.full;

    pf_pool_init(&f->pool, f->slots, SLOTS, 1, NOW);
    f->pool.full = full;
    add(f, starting, PF_LIFE_STARTING);
    add(f, idle, PF_LIFE_IDLE);
    add(f, busy, PF_LIFE_BUSY);
}

/* ---- which pool is full ----------------------------------------------------------------
 */

static const struct {
    const char *name;
    const struct pf_policy *policy;
    unsigned starting, idle, busy;
    unsigned queued;
    bool no_queue;
    bool told;
} pools[] = {
    {"all busy, some wait", &dynamic, 0, 0, 4, 3, false, true},
    {"all busy, nobody waits", &dynamic, 0, 0, 4, 0, false, false},
    {"room for one more", &dynamic, 0, 0, 3, 3, false, false},
    {"one idle", &dynamic, 0, 1, 3, 3, false, false},
    {"one starts", &dynamic, 1, 0, 3, 3, false, false},
    {"none is ready yet", &dynamic, 4, 0, 0, 3, false, false},
    {"static, some wait", &fixed, 0, 0, 4, 1, false, true},
    {"static, nobody waits", &fixed, 0, 0, 4, 0, false, false},
    {"main loops, all busy", &dynamic, 0, 0, 4, 0, true, true},
    {"main loops, one idle", &dynamic, 0, 1, 3, 0, true, false},
    {"main loops, static", &fixed, 0, 0, 4, 0, true, false},
};

static void
full_pools_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(pools); i++) {
        struct fixture f = {.pool.full = {.since = PF_NEVER, .told = PF_NEVER}};
        enum pf_reason reason = PF_REASON_NONE;
        fill(&f, pools[i].starting, pools[i].idle, pools[i].busy);
        f.pool.no_queue = pools[i].no_queue;
        for (int look = 0; look < 2; look++) {
            f.pool.queued = pools[i].queued;
            reason = pf_full_watch(&f.pool, pools[i].policy, NOW + look * PF_FULL_LOOK);
            assert_true(look == 1 || reason == PF_REASON_NONE); /* one look is not enough */
        }
        if ((reason == PF_REASON_FULL) != pools[i].told)
            fail_msg("%s: %s", pools[i].name, pf_reason_text(reason));
    }
}

/* ---- how often ------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    pf_time at; /* after NOW */
    unsigned starting, idle, busy;
    unsigned lowest; /* idle since the step before */
    unsigned queued;
    enum pf_reason told;
} story[] = {
    {"nothing yet", 0, 0, 1, 3, 1, 0, PF_REASON_NONE},
    {"the last idle one is busy", 1 * S, 0, 0, 4, 0, 0, PF_REASON_NONE},
    {"somebody waits", 2 * S, 0, 0, 4, 0, 1, PF_REASON_NONE},
    {"a moment later", 5 * S / 2, 0, 0, 4, 0, 2, PF_REASON_NONE},
    {"still", 3 * S, 0, 0, 4, 0, 9, PF_REASON_FULL},
    {"and again", 4 * S, 0, 0, 4, 0, 9, PF_REASON_NONE},
    {"almost a minute", 62 * S, 0, 0, 4, 0, 9, PF_REASON_NONE},
    {"a minute", 63 * S, 0, 0, 4, 0, 9, PF_REASON_FULL},
    {"idle for a moment", 64 * S, 0, 2, 2, 0, 0, PF_REASON_NONE},
    {"back at once", 66 * S, 0, 0, 4, 0, 3, PF_REASON_NONE},
    {"that is no news", 70 * S, 0, 0, 4, 0, 3, PF_REASON_NONE},
    {"a minute again", 123 * S, 0, 0, 4, 0, 3, PF_REASON_FULL},
    {"one is replaced", 180 * S, 1, 0, 3, 0, 3, PF_REASON_NONE},
    {"which changes nothing", 184 * S, 0, 0, 4, 0, 3, PF_REASON_FULL},
    {"quiet", 190 * S, 0, 2, 2, 1, 0, PF_REASON_ROOM},
    {"quiet for long", 196 * S, 0, 2, 2, 1, 0, PF_REASON_NONE},
    {"it begins anew", 197 * S, 0, 0, 4, 0, 1, PF_REASON_NONE},
    {"and is told at once", 198 * S, 0, 0, 4, 0, 1, PF_REASON_FULL},
};

static void
a_story_is_told_in_few_words(void **state)
{
    struct fixture f = {.pool.full = {.since = PF_NEVER, .told = PF_NEVER}};

    (void)state;
    for (size_t i = 0; i < PF_COUNT(story); i++) {
        enum pf_reason reason;
        fill(&f, story[i].starting, story[i].idle, story[i].busy);
        f.pool.queued = story[i].queued;
        f.pool.idle_lowest = story[i].lowest;
        reason = pf_full_watch(&f.pool, &dynamic, NOW + story[i].at);
        if (reason != story[i].told)
            fail_msg("%s: %s", story[i].name, pf_reason_text(reason));
    }
}

/* ---- what it costs --------------------------------------------------------------------
 */

static void
one_ring_then_the_clock(void **state)
{
    struct fixture f = {.pool.full = {.since = PF_NEVER, .told = PF_NEVER}};

    (void)state;
    fill(&f, 0, 1, 2);
    assert_int_equal(pf_full_wake_below(&f.pool, &dynamic), 0); /* pool size rings then */
    fill(&f, 0, 1, 3);
    assert_int_equal(pf_full_wake_below(&f.pool, &dynamic), 1);
    assert_true(pf_full_watch_at(&f.pool, NOW) == PF_NEVER);
    fill(&f, 0, 0, 4);
    (void)pf_full_watch(&f.pool, &dynamic, NOW);
    assert_int_equal(pf_full_wake_below(&f.pool, &dynamic), 0);
    assert_true(pf_full_watch_at(&f.pool, NOW) == NOW + PF_FULL_LOOK);
    fill(&f, 0, 4, 0);
    (void)pf_full_watch(&f.pool, &dynamic, NOW + PF_FULL_CALM - 1);
    assert_int_equal(pf_full_wake_below(&f.pool, &dynamic), 0);
    (void)pf_full_watch(&f.pool, &dynamic, NOW + PF_FULL_CALM);
    assert_int_equal(pf_full_wake_below(&f.pool, &dynamic), 1);
    assert_true(pf_full_watch_at(&f.pool, NOW + PF_FULL_CALM) == PF_NEVER);
}

/* All that is known of them is that they were started. */
static void
programs_that_say_nothing_are_not_looked_at(void **state)
{
    struct fixture f = {.pool.full = {.since = PF_NEVER, .told = PF_NEVER}};

    (void)state;
    fill(&f, 4, 0, 0);
    f.pool.queued = 9;
    assert_false(pf_full_is(&f.pool, &dynamic));
    (void)pf_full_watch(&f.pool, &dynamic, NOW);
    assert_true(pf_full_watch_at(&f.pool, NOW) == PF_NEVER);
}

static void
main_loops_of_a_fixed_number_never_ring(void **state)
{
    struct fixture f = {.pool.full = {.since = PF_NEVER, .told = PF_NEVER}};

    (void)state;
    fill(&f, 0, 1, 3);
    f.pool.no_queue = true;
    assert_int_equal(pf_full_wake_below(&f.pool, &fixed), 0);
    assert_int_equal(pf_full_wake_below(&f.pool, &dynamic), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_pools_are_told),
        cmocka_unit_test(a_story_is_told_in_few_words),
        cmocka_unit_test(one_ring_then_the_clock),
        cmocka_unit_test(programs_that_say_nothing_are_not_looked_at),
        cmocka_unit_test(main_loops_of_a_fixed_number_never_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
