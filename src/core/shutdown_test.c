/* The ladder down, rung by rung. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "core/shutdown.h"

#define S   PF_SECOND
#define NOW (100 * S)

static const struct pf_policy policy = {
    .graceful_timeout = 30 * S, .stop_timeout = 4 * S, .kill_timeout = 3 * S};

static struct pf_slot slots[4];

static void
open(struct pf_pool *pool)
{
    pf_pool_init(pool, slots, PF_COUNT(slots), 1, NOW);
    pf_pool_born(pool, 0, PF_KIND_WORKER, 1000, NOW);
}

static const struct {
    const char *name;
    enum pf_stop asked;
    pf_time later;
    enum pf_stop level;
} rungs[] = {
    {"graceful", PF_STOP_GRACEFUL, 30 * S - 1, PF_STOP_GRACEFUL},
    {"graceful goes on to TERM", PF_STOP_GRACEFUL, 30 * S, PF_STOP_TERM},
    {"fast", PF_STOP_FAST, 4 * S - 1, PF_STOP_FAST},
    {"fast goes on to TERM", PF_STOP_FAST, 4 * S, PF_STOP_TERM},
};

static void
levels_end_in_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(rungs); i++) {
        struct pf_pool pool;
        open(&pool);
        pf_shutdown_ask(&pool, rungs[i].asked, NOW);
        pf_shutdown_advance(&pool, &policy, NOW + rungs[i].later);
        if (pool.stop != rungs[i].level)
            fail_msg("%s: level %d", rungs[i].name, (int)pool.stop);
    }
}

static void
the_whole_ladder(void **state)
{
    static const enum pf_stop levels[] = {PF_STOP_GRACEFUL, PF_STOP_TERM, PF_STOP_KILL,
                                          PF_STOP_GIVE_UP};
    struct pf_pool pool;

    (void)state;
    open(&pool);
    assert_true(pf_shutdown_at(&pool, &policy) == PF_NEVER);
    pf_shutdown_ask(&pool, PF_STOP_GRACEFUL, NOW);
    for (size_t i = 0; i < PF_COUNT(levels); i++) {
        assert_int_equal(pool.stop, levels[i]);
        assert_int_equal(pf_shutdown_finished(&pool), levels[i] == PF_STOP_GIVE_UP);
        if (levels[i] != PF_STOP_GIVE_UP)
            pf_shutdown_advance(&pool, &policy, pf_shutdown_at(&pool, &policy));
    }
    assert_true(pool.stop_since == NOW + 36 * S);
    assert_true(pf_shutdown_at(&pool, &policy) == PF_NEVER);
}

static void
a_ladder_without_rungs_is_climbed_at_once(void **state)
{
    static const struct pf_policy none = {0};
    struct pf_pool pool;

    (void)state;
    open(&pool);
    pf_shutdown_ask(&pool, PF_STOP_GRACEFUL, NOW);
    pf_shutdown_advance(&pool, &none, NOW);
    assert_int_equal(pool.stop, PF_STOP_GIVE_UP);
}

static void
the_second_signal_escalates(void **state)
{
    static const enum pf_stop levels[] = {PF_STOP_FAST, PF_STOP_TERM, PF_STOP_KILL,
                                          PF_STOP_KILL};
    struct pf_pool pool;

    (void)state;
    open(&pool);
    for (size_t i = 0; i < PF_COUNT(levels); i++) {
        pf_shutdown_ask(&pool, PF_STOP_FAST, NOW);
        assert_int_equal(pool.stop, levels[i]);
    }
}

static void
finished_when_nobody_is_left(void **state)
{
    struct pf_pool pool;

    (void)state;
    open(&pool);
    pf_pool_died(&pool, 0, 0, NOW);
    assert_false(pf_shutdown_finished(&pool));
    pf_shutdown_ask(&pool, PF_STOP_FAST, NOW);
    assert_false(pf_shutdown_finished(&pool)); /* its obituary is not told */
    pf_pool_buried(&pool, 0);
    assert_true(pf_shutdown_finished(&pool));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_end_in_time),
        cmocka_unit_test(the_whole_ladder),
        cmocka_unit_test(a_ladder_without_rungs_is_climbed_at_once),
        cmocka_unit_test(the_second_signal_escalates),
        cmocka_unit_test(finished_when_nobody_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
