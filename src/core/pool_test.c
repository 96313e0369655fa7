/* The pool: bad starts and their batches, proof, who is exempt, and the counts. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "core/rollover.h"

#include <signal.h>

enum { SLOTS = 16 };

#define NOW    (100 * PF_SECOND)
#define EXIT_0 0
#define EXIT_1 (1 << 8)

struct fixture {
    struct pf_slot slots[SLOTS];
    struct pf_pool pool;
};

static void
open(struct fixture *f)
{
    pf_pool_init(&f->pool, f->slots, SLOTS, 7, NOW);
}

static unsigned
bear(struct fixture *f, pf_time now)
{
    unsigned slot = pf_pool_vacant(&f->pool);

    pf_pool_born(&f->pool, slot, PF_KIND_WORKER, (pid_t)(1000 + slot), now);
    return slot;
}

static void
tell(struct fixture *f, unsigned slot, uint64_t requests)
{
    pf_pool_told(&f->pool, slot,
                 &(struct pf_told){.ready = true, .requests = requests, .since = NOW});
}

/* ---- how an end is judged -------------------------------------------------------------
 */

enum before { NOTHING, ASKED, TERMED, SLOW_START, STILL_THERE, SAID_FAILED };

static const struct end {
    const char *name;
    bool ready;
    uint64_t requests;
    enum before before;
    pf_time age;
    int status;
    enum pf_reason reason;
} ends[] = {
    {"crash before ready", false, 0, NOTHING, 0, SIGSEGV, PF_REASON_BAD_START},
    {"crash before ready, late", false, 0, NOTHING, 90 * PF_SECOND, SIGSEGV,
     PF_REASON_BAD_START},
    {"exit 0 before ready", false, 0, NOTHING, 0, EXIT_0, PF_REASON_BAD_START},
    {"SIGKILL before ready", false, 0, NOTHING, 0, SIGKILL, PF_REASON_BAD_START},
    {"crash right after ready", true, 0, NOTHING, 0, SIGSEGV, PF_REASON_BAD_START},
    {"exit 0 right after ready", true, 0, NOTHING, 0, EXIT_0, PF_REASON_BAD_START},
    {"SIGKILL right after ready: somebody did it", true, 0, NOTHING, 0, SIGKILL,
     PF_REASON_KILLED},
    {"SIGKILL with a core dump", true, 0, NOTHING, 0, SIGKILL | 0x80, PF_REASON_KILLED},
    {"crash in the first request", true, 1, NOTHING, 0, SIGSEGV, PF_REASON_KILLED},
    {"crash just before proof", true, 0, NOTHING, PF_SECOND - 1, SIGSEGV,
     PF_REASON_BAD_START},
    {"crash at proof", true, 0, NOTHING, PF_SECOND, SIGSEGV, PF_REASON_KILLED},
    {"status 1 after proof", true, 0, NOTHING, PF_SECOND, EXIT_1, PF_REASON_FAILED},
    {"status 0 after proof", true, 0, NOTHING, PF_SECOND, EXIT_0, PF_REASON_LEFT},
    {"asked before ready", false, 0, ASKED, 0, EXIT_0, PF_REASON_LEFT},
    {"asked, then crashes", false, 0, ASKED, 0, SIGSEGV, PF_REASON_KILLED},
    {"signalled by the stop", false, 0, TERMED, 0, SIGTERM, PF_REASON_KILLED},
    {"too slow a start", false, 0, SLOW_START, 60 * PF_SECOND, SIGTERM,
     PF_REASON_BAD_START},
    {"too slow a start, killed", false, 0, STILL_THERE, 60 * PF_SECOND, SIGKILL,
     PF_REASON_BAD_START},
    {"said that it failed, after much work", true, 100, SAID_FAILED, 60 * PF_SECOND, EXIT_1,
     PF_REASON_BAD_START},
    {"said that it failed, asked", true, 100, SAID_FAILED, 0, EXIT_0, PF_REASON_BAD_START},
};

static void
prepare(struct fixture *f, unsigned slot, const struct end *e, pf_time now)
{
    struct pf_pool *p = &f->pool;

    if (e->ready)
        tell(f, slot, e->requests);
    switch (e->before) {
    case NOTHING: break;
    case ASKED: pf_pool_asked(p, slot, PF_REASON_STOP, now); break;
    case TERMED: pf_pool_signalled(p, slot, PF_STEP_TERM, PF_REASON_STOP, now); break;
    case STILL_THERE:
    case SLOW_START:
        pf_pool_signalled(p, slot, PF_STEP_TERM, PF_REASON_SLOW_START, now);
        if (e->before == STILL_THERE)
            pf_pool_signalled(p, slot, PF_STEP_KILL, PF_REASON_STILL_THERE, now);
        break;
    case SAID_FAILED: pf_pool_failed(p, slot); break;
    }
}

static void
ends_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(ends); i++) {
        const struct end *e = &ends[i];
        struct fixture f;
        unsigned slot;
        open(&f);
        slot = bear(&f, NOW);
        prepare(&f, slot, e, NOW + e->age);
        pf_pool_died(&f.pool, slot, e->status, NOW + e->age);
        if (f.slots[slot].reason != e->reason)
            fail_msg("%s: %s, not %s", e->name, pf_reason_text(f.slots[slot].reason),
                     pf_reason_text(e->reason));
        assert_int_equal(f.pool.start.streak, e->reason == PF_REASON_BAD_START);
    }
}

/* ---- streaks ----------------------------------------------------------------------------
 */

static void
one_batch_counts_once(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    for (unsigned i = 0; i < 10; i++)
        (void)bear(&f, NOW);
    for (unsigned i = 0; i < 10; i++)
        pf_pool_died(&f.pool, i, SIGSEGV, NOW);
    assert_int_equal(f.pool.start.streak, 1);
    assert_false(pf_backoff_cautious(&f.pool.start));
}

static void
the_next_batch_counts_again(void **state)
{
    struct fixture f;
    unsigned a;
    unsigned b;

    (void)state;
    open(&f);
    a = bear(&f, NOW);
    pf_pool_died(&f.pool, a, SIGSEGV, NOW);
    b = bear(&f, NOW); /* at the same moment: births are numbered */
    pf_pool_died(&f.pool, b, SIGSEGV, NOW);
    assert_int_equal(f.pool.start.streak, 2);
    assert_true(pf_backoff_cautious(&f.pool.start));
}

static void
fail_twice(struct fixture *f)
{
    for (unsigned i = 0; i < 2; i++)
        pf_pool_died(&f->pool, bear(f, NOW), SIGSEGV, NOW);
}

static void
old_workers_prove_nothing(void **state)
{
    struct fixture f;
    unsigned old;

    (void)state;
    open(&f);
    old = bear(&f, NOW);
    fail_twice(&f);
    tell(&f, old, 1000);
    pf_pool_forgive(&f.pool, NOW + 60 * PF_SECOND);
    assert_int_equal(f.pool.start.streak, 2);
    assert_true(pf_pool_forgive_at(&f.pool, NOW) == PF_NEVER);
}

static void
a_new_worker_that_serves_ends_the_streak(void **state)
{
    struct fixture f;
    unsigned young;

    (void)state;
    open(&f);
    fail_twice(&f);
    young = bear(&f, NOW);
    pf_pool_forgive(&f.pool, NOW);
    assert_int_equal(f.pool.start.streak, 2);
    tell(&f, young, 1);
    pf_pool_forgive(&f.pool, NOW);
    assert_int_equal(f.pool.start.streak, 0);
}

static void
a_new_worker_that_lives_ends_the_streak(void **state)
{
    struct fixture f;
    unsigned young;

    (void)state;
    open(&f);
    fail_twice(&f);
    young = bear(&f, NOW);
    tell(&f, young, 0);
    assert_true(pf_pool_forgive_at(&f.pool, NOW) == NOW + PF_SECOND);
    pf_pool_forgive(&f.pool, NOW + PF_SECOND - 1);
    assert_int_equal(f.pool.start.streak, 2);
    pf_pool_forgive(&f.pool, NOW + PF_SECOND);
    assert_int_equal(f.pool.start.streak, 0);
}

/* ---- counts
 * ------------------------------------------------------------------------------ */

static void
counts_follow_lives(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    for (unsigned i = 0; i < 4; i++)
        (void)bear(&f, NOW);
    tell(&f, 0, 5);
    tell(&f, 1, 6);
    pf_pool_asked(&f.pool, 1, PF_REASON_QUIET, NOW);
    pf_pool_died(&f.pool, 0, EXIT_0, NOW);
    assert_int_equal(pf_pool_alive(&f.pool), 3);
    assert_int_equal(pf_pool_serving(&f.pool), 2);
    assert_int_equal(pf_pool_requests(&f.pool), 11);
    assert_int_equal(pf_pool_vacant(&f.pool), 4);
    pf_pool_buried(&f.pool, 0);
    assert_int_equal(pf_pool_vacant(&f.pool), 0);
    assert_int_equal(f.pool.count[PF_LIFE_VACANT], SLOTS - 3);
}

/* What becomes of it says nothing of the workers, and it is not counted among them. */
static void
a_dequeue_process_is_apart(void **state)
{
    struct fixture f;
    unsigned worker;

    (void)state;
    open(&f);
    worker = bear(&f, NOW);
    pf_pool_born(&f.pool, 1, PF_KIND_DEQUEUE, 2000, NOW + 1);
    assert_int_equal(pf_pool_alive(&f.pool), 1);
    assert_int_equal(pf_pool_serving(&f.pool), 1);
    assert_int_equal(pf_pool_dequeues(&f.pool), 1);
    assert_true(f.pool.last_birth == NOW && f.pool.last_dequeue == NOW + 1);
    pf_pool_told(&f.pool, 1, &(struct pf_told){.ready = true, .busy = true});
    assert_int_equal(f.pool.dequeues[PF_LIFE_BUSY], 1);
    assert_int_equal(f.pool.count[PF_LIFE_BUSY], 0);
    pf_pool_failed(&f.pool, 1);
    pf_pool_died(&f.pool, 1, SIGSEGV, NOW + 2);
    assert_int_equal(f.pool.slots[1].reason, PF_REASON_KILLED);
    assert_int_equal(f.pool.start.streak, 0);
    assert_int_equal(f.pool.dequeues[PF_LIFE_GONE], 1);
    assert_int_equal(f.pool.count[PF_LIFE_GONE], 0);
    pf_pool_buried(&f.pool, 1);
    assert_int_equal(f.pool.count[PF_LIFE_VACANT], SLOTS - 1);
    assert_int_equal(pf_pool_dequeues(&f.pool), 0);
    tell(&f, worker, 1);
    assert_int_equal(f.pool.count[PF_LIFE_IDLE], 1);
}

static void
gossip_of_the_dead_is_dropped(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    pf_pool_died(&f.pool, bear(&f, NOW), SIGSEGV, NOW);
    tell(&f, 0, 99);
    assert_int_equal(f.slots[0].life, PF_LIFE_GONE);
    assert_int_equal(pf_pool_requests(&f.pool), 0);
}

static void
equal_seeds_give_equal_jitter(void **state)
{
    struct fixture a;
    struct fixture b;

    (void)state;
    open(&a);
    open(&b);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(pf_pool_random(&a.pool), pf_pool_random(&b.pool));
}

static void
restarts_outdate_who_lives(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    (void)bear(&f, NOW);
    pf_pool_outdate(&f.pool);
    (void)bear(&f, NOW);
    assert_true(pf_pool_is_outdated(&f.pool, &f.slots[0]));
    assert_false(pf_pool_is_outdated(&f.pool, &f.slots[1]));
}

/* Where a program runs for each connection, what ends a streak of bad starts. */
static const struct proof {
    const char *name;
    struct pf_told told;
    pf_time age;
    bool over;
} proofs[] = {
    {"idle for long", {.ready = true}, 60 * PF_SECOND, false},
    {"has just accepted",
     {.ready = true, .busy = true, .requests = 1, .since = NOW},
     0,
     false},
    {"its program runs",
     {.ready = true, .busy = true, .requests = 1, .since = NOW},
     PF_SECOND,
     true},
    {"its program ran", {.ready = true, .requests = 1, .since = NOW}, 0, true},
    {"busy since the beginning of time",
     {.ready = true, .busy = true, .requests = 1, .since = INT64_MIN},
     0,
     true},
};

static void
only_a_connection_proves_a_program(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(proofs); i++) {
        struct fixture f;
        open(&f);
        f.pool.only_requests_prove = true;
        pf_pool_died(&f.pool, bear(&f, NOW), EXIT_1, NOW);
        assert_int_equal(f.pool.start.streak, 1);
        pf_pool_told(&f.pool, bear(&f, NOW), &proofs[i].told);
        pf_pool_forgive(&f.pool, NOW + proofs[i].age);
        if ((f.pool.start.streak == 0) != proofs[i].over)
            fail_msg("%s: streak %u", proofs[i].name, f.pool.start.streak);
    }
}

/* ---- taken over from another master
 * ---------------------------------------------------------------- */

static const struct pf_adopted lives[] = {
    {.life = PF_LIFE_STARTING, .birth = 7},
    {.life = PF_LIFE_IDLE, .birth = 3, .was_ready = true},
    {.life = PF_LIFE_BUSY, .birth = 12, .was_ready = true},
    {.life = PF_LIFE_DRAINING,
     .birth = 4,
     .was_ready = true,
     .exempt = true,
     .reason = PF_REASON_QUIET,
     .asked = NOW - PF_SECOND},
    {.life = PF_LIFE_STOPPING,
     .birth = 5,
     .step = PF_STEP_TERM,
     .reason = PF_REASON_SLOW_REQUEST,
     .signalled = NOW - PF_SECOND},
    {.life = PF_LIFE_BUSY, .kind = PF_KIND_DEQUEUE, .birth = 9},
};

/* In every second slot, from the top. */
static unsigned
slot_of_life(size_t i)
{
    return SLOTS - 1 - 2 * (unsigned)i;
}

static void
adopt_all(struct fixture *f)
{
    open(f);
    for (size_t i = 0; i < PF_COUNT(lives); i++) {
        struct pf_adopted a = lives[i];
        a.pid = 2000 + (pid_t)i;
        a.born = NOW - 10 * PF_SECOND;
        pf_pool_adopt(&f->pool, slot_of_life(i), &a);
    }
}

static void
adopted_workers_are_counted(void **state)
{
    struct fixture f;

    (void)state;
    adopt_all(&f);
    for (size_t i = 0; i < PF_COUNT(lives); i++) {
        const struct pf_slot *s = &f.slots[slot_of_life(i)];
        assert_int_equal(s->life, lives[i].life);
        assert_int_equal(s->pid, 2000 + i);
        assert_true(s->birth == lives[i].birth && s->reason == lives[i].reason);
        assert_true(s->asked == lives[i].asked && s->signalled == lives[i].signalled);
    }
    assert_int_equal(pf_pool_alive(&f.pool), 5);
    assert_int_equal(pf_pool_serving(&f.pool), 3);
    assert_int_equal(pf_pool_dequeues(&f.pool), 1);
    assert_int_equal(f.pool.count[PF_LIFE_VACANT], SLOTS - PF_COUNT(lives));
    assert_int_equal(f.pool.used, SLOTS);
    assert_int_equal(pf_pool_vacant(&f.pool), 0);
    assert_true(f.pool.births == 12);
    assert_int_equal(f.slots[bear(&f, NOW)].birth, 13);
    assert_int_equal(bear(&f, NOW), 1);
    pf_pool_outdate_range(&f.pool, 3, 7);
    assert_int_equal(f.pool.rollover.alive, 3);
}

/* All that can happen to a worker happens to these. */
static void
adopted_workers_live_on(void **state)
{
    struct fixture f;

    (void)state;
    adopt_all(&f);
    tell(&f, slot_of_life(0), 0);
    assert_int_equal(f.slots[slot_of_life(0)].life, PF_LIFE_IDLE);
    pf_pool_told(&f.pool, slot_of_life(1), &(struct pf_told){.ready = true, .busy = true});
    assert_int_equal(f.slots[slot_of_life(1)].life, PF_LIFE_BUSY);
    tell(&f, slot_of_life(2), 8);
    pf_pool_asked(&f.pool, slot_of_life(2), PF_REASON_QUIET, NOW);
    tell(&f, slot_of_life(3), 1);
    assert_int_equal(f.slots[slot_of_life(3)].life, PF_LIFE_DRAINING);
    for (size_t i = 0; i < PF_COUNT(lives); i++) {
        pf_pool_died(&f.pool, slot_of_life(i), EXIT_0, NOW);
        pf_pool_buried(&f.pool, slot_of_life(i));
    }
    assert_int_equal(f.pool.count[PF_LIFE_VACANT], SLOTS);
    assert_true(f.pool.requests_buried == 9);
    assert_int_equal(f.pool.start.streak, 1); /* the one that was sent SIGTERM unready */
}

static void
adopted_workers_of_an_outdated_range(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    pf_pool_outdate_range(&f.pool, 2, 4);
    pf_pool_adopt(&f.pool, 5, &lives[1]);
    pf_pool_adopt(&f.pool, 2, &lives[2]);
    assert_int_equal(f.pool.rollover.alive, 1);
    pf_pool_died(&f.pool, 5, EXIT_0, NOW);
    assert_false(pf_rollover_is_on(&f.pool));
}

/* A process that SIGKILL does not end at once is the next failure; one that it never ends
 * is not waited for. */
static void
a_killed_probe_counts_for_a_while(void **state)
{
    struct fixture f;
    unsigned probe;

    (void)state;
    open(&f);
    pf_pool_died(&f.pool, bear(&f, NOW), EXIT_1, NOW);
    probe = bear(&f, NOW);
    pf_pool_signalled(&f.pool, probe, PF_STEP_TERM, PF_REASON_SLOW_START, NOW);
    pf_pool_signalled(&f.pool, probe, PF_STEP_KILL, PF_REASON_STILL_THERE,
                      NOW + 5 * PF_SECOND);
    assert_true(pf_pool_is_probing(&f.pool, NOW + 5 * PF_SECOND));
    assert_true(pf_pool_forgive_at(&f.pool, NOW + 5 * PF_SECOND) == NOW + 6 * PF_SECOND);
    assert_false(pf_pool_is_probing(&f.pool, NOW + 6 * PF_SECOND));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_are_judged),
        cmocka_unit_test(one_batch_counts_once),
        cmocka_unit_test(the_next_batch_counts_again),
        cmocka_unit_test(old_workers_prove_nothing),
        cmocka_unit_test(a_new_worker_that_serves_ends_the_streak),
        cmocka_unit_test(a_new_worker_that_lives_ends_the_streak),
        cmocka_unit_test(counts_follow_lives),
        cmocka_unit_test(a_dequeue_process_is_apart),
        cmocka_unit_test(gossip_of_the_dead_is_dropped),
        cmocka_unit_test(equal_seeds_give_equal_jitter),
        cmocka_unit_test(only_a_connection_proves_a_program),
        cmocka_unit_test(restarts_outdate_who_lives),
        cmocka_unit_test(adopted_workers_are_counted),
        cmocka_unit_test(adopted_workers_live_on),
        cmocka_unit_test(adopted_workers_of_an_outdated_range),
        cmocka_unit_test(a_killed_probe_counts_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
