/* The master's table of workers.
 *
 * Slots are fixed and the lowest vacant one is used first, so the table stays dense and a
 * scan stops at `used`. move() is the only function that changes a life; it keeps the
 * counts, so that sum(count) + sum(dequeues) == capacity always.
 *
 * Dequeue processes have slots like workers, but are counted by themselves: everything that
 * looks at the size of the pool, its load or its health looks at `count` alone.
 *
 * What a bad start is. A worker that ends before it was ready, or that ends by itself
 * (not asked, not signalled) before it either accepted a connection or lived
 * PF_POOL_PROOF long. One exception: a worker that was ready and died of SIGKILL was
 * killed by somebody, not by its program. Bad starts of one batch count once: only a
 * worker born after the last counted failure can be the next one.
 *
 * A streak ends when a worker born after the last failure proves itself (where a program
 * runs for each connection, by a connection: living idle says nothing of the program).
 * Workers that were there before prove nothing: the old ones may serve happily while every
 * new one fails in its child_init_hook. Nor do workers of another program than the one that
 * is born now, whether they are the old ones or those of a trial that failed. */
#include "core/pool.h"

#include "base/attr.h"
#include "core/rollover.h"

#include <signal.h>
#include <sys/wait.h>

/* A worker that lived this long without harm has started well. */
#define PF_POOL_PROOF PF_SECOND

void
pf_pool_init(struct pf_pool *pool, struct pf_slot *slots, unsigned capacity, uint32_t seed,
             pf_time now)
{
    *pool = (struct pf_pool){
        .slots = slots,
        .capacity = capacity,
        .random = seed != 0 ? seed : 1,
        .last_birth = now,
        .last_dequeue = now,
        .start = {.forgiven = 1, .first = PF_SECOND / 10, .longest = 60 * PF_SECOND},
        .fork = {.forgiven = 0, .first = PF_SECOND / 20, .longest = 5 * PF_SECOND},
        .waiting = {.started = now, .lowest = UINT_MAX},
        .quiet = {.started = now, .lowest = UINT_MAX},
        .full = {.since = PF_NEVER, .told = PF_NEVER},
        .idle_lowest = UINT_MAX,
    };
    pool->count[PF_LIFE_VACANT] = capacity;
    for (unsigned i = 0; i < capacity; i++)
        slots[i] = (struct pf_slot){.life = PF_LIFE_VACANT};
}

uint32_t
pf_pool_random(struct pf_pool *pool)
{
    /* xorshift32 (Marsaglia, "Xorshift RNGs", 2003) */
    pool->random ^= pool->random << 13;
    pool->random ^= pool->random >> 17;
    pool->random ^= pool->random << 5;
    return pool->random;
}

/* A vacant slot is of no kind. */
static unsigned *
count_of(struct pf_pool *pool, const struct pf_slot *s)
{
    bool dequeue = s->kind == PF_KIND_DEQUEUE && s->life != PF_LIFE_VACANT;

    return dequeue ? &pool->dequeues[s->life] : &pool->count[s->life];
}

static void
move(struct pf_pool *pool, struct pf_slot *s, enum pf_life_event event)
{
    enum pf_life next = pf_life_next(s->life, event);

    PF_ASSERT(next != PF_LIFE_COUNT_OF);
    --*count_of(pool, s);
    s->life = next;
    ++*count_of(pool, s);
}

static struct pf_slot *
slot_of(struct pf_pool *pool, unsigned slot)
{
    PF_ASSERT(slot < pool->capacity);
    return &pool->slots[slot];
}

unsigned
pf_pool_vacant(const struct pf_pool *pool)
{
    unsigned i = pool->vacant_from;

    while (i < pool->capacity && pool->slots[i].life != PF_LIFE_VACANT)
        i++;
    return i;
}

void
pf_pool_born(struct pf_pool *pool, unsigned slot, enum pf_kind kind, pid_t pid, pf_time now)
{
    struct pf_slot *s = slot_of(pool, slot);

    s->kind = kind;
    move(pool, s, PF_LIFE_BORN);
    *s = (struct pf_slot){
        .life = s->life, .kind = kind, .pid = pid, .born = now, .birth = ++pool->births};
    *(kind == PF_KIND_DEQUEUE ? &pool->last_dequeue : &pool->last_birth) = now;
    pool->vacant_from = slot + 1;
    if (slot >= pool->used)
        pool->used = slot + 1;
    pf_backoff_succeed(&pool->fork);
}

void
pf_pool_fork_failed(struct pf_pool *pool, pf_time now)
{
    pf_backoff_fail(&pool->fork, now, pf_pool_random(pool));
}

void
pf_pool_told(struct pf_pool *pool, unsigned slot, const struct pf_told *told)
{
    struct pf_slot *s = slot_of(pool, slot);

    if (!pf_life_alive(s->life))
        return;
    s->client_gone = s->client_gone && told->busy && told->requests == s->told.requests;
    s->told = *told;
    if (!told->ready)
        return;
    s->was_ready = true;
    move(pool, s,
         told->busy                ? PF_LIFE_TAKES
         : s->life == PF_LIFE_BUSY ? PF_LIFE_DONE
                                   : PF_LIFE_READY);
}

bool
pf_pool_is_ready(const struct pf_slot *s)
{
    return s->life == PF_LIFE_IDLE || s->life == PF_LIFE_BUSY;
}

/* A pool that turns out to be too large is not kept at its size by a replacement. */
static bool
is_surplus(enum pf_reason reason)
{
    return reason == PF_REASON_MAX_SPARE || reason == PF_REASON_QUIET ||
           reason == PF_REASON_OVER_MAX;
}

void
pf_pool_asked(struct pf_pool *pool, unsigned slot, enum pf_reason reason, pf_time now)
{
    struct pf_slot *s = slot_of(pool, slot);

    move(pool, s, PF_LIFE_ASKED);
    s->reason = reason;
    s->asked = now;
    s->exempt = true;
    if (is_surplus(reason) && pool->rollover.size > 0)
        pool->rollover.size--;
}

void
pf_pool_signalled(struct pf_pool *pool, unsigned slot, enum pf_step step,
                  enum pf_reason reason, pf_time now)
{
    struct pf_slot *s = slot_of(pool, slot);

    move(pool, s, PF_LIFE_SIGNALLED);
    s->reason = reason;
    s->step = step;
    s->signalled = now;
    if (reason != PF_REASON_STILL_THERE) /* else: as it was at the SIGTERM */
        s->exempt = reason != PF_REASON_SLOW_START;
}

void
pf_pool_failed(struct pf_pool *pool, unsigned slot)
{
    struct pf_slot *s = slot_of(pool, slot);

    s->failed = true;
    if (s->kind == PF_KIND_WORKER)
        (void)pf_trial_fail(pool, s);
}

void
pf_pool_client_gone(struct pf_pool *pool, unsigned slot)
{
    slot_of(pool, slot)->client_gone = true;
}

/* It was of use, or at least harmless for long enough. */
static bool
proven(const struct pf_slot *s, pf_time now)
{
    return s->was_ready && !s->failed &&
           (s->told.requests > 0 || now - s->born >= PF_POOL_PROOF);
}

/* A connection whose program was started and did not fail at once. */
static bool
ran_a_program(const struct pf_slot *s, pf_time now)
{
    return s->told.requests > s->told.busy ||
           (s->told.busy && s->told.since <= now - PF_POOL_PROOF);
}

/* It shows that workers can do their work. */
static bool
proves_the_program(const struct pf_pool *pool, const struct pf_slot *s, pf_time now)
{
    return proven(s, now) && (!pool->only_requests_prove || ran_a_program(s, now));
}

static bool
killed_from_outside(const struct pf_slot *s)
{
    return s->was_ready && WIFSIGNALED(s->wait_status) &&
           WTERMSIG(s->wait_status) == SIGKILL;
}

static bool
is_bad_start(const struct pf_slot *s)
{
    if (s->kind == PF_KIND_DEQUEUE)
        return false; /* of one that fails there is one per interval at most */
    return s->failed || (!s->exempt && !proven(s, s->ended) && !killed_from_outside(s));
}

/* Born after the last bad start that was counted: its end can be the next failure, and
 * its life can end the streak. Births are numbered because a clock may stand still
 * between a death and the birth that answers it. */
static bool
of_next_batch(const struct pf_pool *pool, const struct pf_slot *s)
{
    return s->kind == PF_KIND_WORKER && s->birth > pool->births_at_failure;
}

static bool
streak_is_over(const struct pf_pool *pool, pf_time now)
{
    for (unsigned i = 0; i < pool->used; i++) {
        const struct pf_slot *s = &pool->slots[i];
        if (s->life != PF_LIFE_VACANT && of_next_batch(pool, s) &&
            proves_the_program(pool, s, s->life == PF_LIFE_GONE ? s->ended : now))
            return true;
    }
    return false;
}

void
pf_pool_forgive(struct pf_pool *pool, pf_time now)
{
    if (pool->start.streak > 0 && streak_is_over(pool, now))
        pf_backoff_succeed(&pool->start);
}

pf_time
pf_pool_forgive_at(const struct pf_pool *pool, pf_time now)
{
    pf_time at = PF_NEVER;

    if (pool->start.streak == 0)
        return PF_NEVER;
    for (unsigned i = 0; i < pool->used; i++) {
        const struct pf_slot *s = &pool->slots[i];
        pf_time proof = (s->step == PF_STEP_KILL ? s->signalled : s->born) + PF_POOL_PROOF;
        if (pf_life_alive(s->life) && of_next_batch(pool, s) && proof > now)
            at = pf_time_earlier(at, proof);
    }
    return at;
}

/* One that was signalled is about to be the next failure: births before its end would be of
 * one batch with it. Not even SIGKILL ends a process at once, and some it never ends. */
static bool
may_yet_fail(const struct pf_slot *s, pf_time now)
{
    if (s->step == PF_STEP_KILL)
        return s->signalled + PF_POOL_PROOF > now;
    return pf_life_serving(s->life) || s->step == PF_STEP_TERM;
}

bool
pf_pool_is_probing(const struct pf_pool *pool, pf_time now)
{
    for (unsigned i = 0; i < pool->used; i++) {
        const struct pf_slot *s = &pool->slots[i];
        if (may_yet_fail(s, now) && pf_life_alive(s->life) && of_next_batch(pool, s) &&
            (!s->was_ready || s->born + PF_POOL_PROOF > now))
            return true;
    }
    return false;
}

void
pf_pool_excuse(struct pf_pool *pool, unsigned slot)
{
    slot_of(pool, slot)->exempt = true;
}

static enum pf_reason
obituary(const struct pf_slot *s)
{
    if (is_bad_start(s))
        return PF_REASON_BAD_START;
    if (WIFSIGNALED(s->wait_status))
        return PF_REASON_KILLED;
    return WEXITSTATUS(s->wait_status) == 0 ? PF_REASON_LEFT : PF_REASON_FAILED;
}

void
pf_pool_died(struct pf_pool *pool, unsigned slot, int wait_status, pf_time now)
{
    struct pf_slot *s = slot_of(pool, slot);

    move(pool, s, PF_LIFE_DIED);
    s->wait_status = wait_status;
    s->ended = now;
    s->reason = obituary(s);
    pool->requests_buried += s->told.requests;
    if (s->kind == PF_KIND_WORKER && pf_pool_is_outdated(pool, s))
        pool->rollover.alive--;
    pf_pool_forgive(pool, now);
    if (s->reason != PF_REASON_BAD_START || pf_trial_fail(pool, s))
        return;
    if (of_next_batch(pool, s)) {
        pool->births_at_failure = pool->births;
        pf_backoff_fail(&pool->start, now, pf_pool_random(pool));
    }
}

void
pf_pool_buried(struct pf_pool *pool, unsigned slot)
{
    struct pf_slot *s = slot_of(pool, slot);

    move(pool, s, PF_LIFE_BURIED);
    *s = (struct pf_slot){.life = s->life};
    if (slot < pool->vacant_from)
        pool->vacant_from = slot;
}

void
pf_pool_adopt(struct pf_pool *pool, unsigned slot, const struct pf_adopted *a)
{
    struct pf_slot *s = slot_of(pool, slot);

    PF_ASSERT(s->life == PF_LIFE_VACANT && pf_life_alive(a->life));
    pool->count[PF_LIFE_VACANT]--;
    *s = (struct pf_slot){
        .life = a->life,
        .kind = a->kind,
        .reason = a->reason,
        .step = a->step,
        .was_ready = a->was_ready,
        .exempt = a->exempt,
        .pid = a->pid,
        .birth = a->birth,
        .born = a->born,
        .asked = a->asked,
        .signalled = a->signalled,
        .told = {.ready = a->was_ready, .busy = a->life == PF_LIFE_BUSY, .since = a->born},
    };
    ++*count_of(pool, s);
    if (slot >= pool->used)
        pool->used = slot + 1;
    if (a->birth > pool->births)
        pool->births = a->birth;
    if (a->kind == PF_KIND_WORKER && pf_pool_is_outdated(pool, s))
        pool->rollover.alive++;
}

static unsigned
alive(const unsigned count[PF_LIFE_COUNT_OF])
{
    unsigned sum = 0;

    for (unsigned life = 0; life < PF_LIFE_COUNT_OF; life++)
        sum += pf_life_alive((enum pf_life)life) ? count[life] : 0;
    return sum;
}

unsigned
pf_pool_alive(const struct pf_pool *pool)
{
    return alive(pool->count);
}

unsigned
pf_pool_dequeues(const struct pf_pool *pool)
{
    return alive(pool->dequeues);
}

unsigned
pf_pool_serving(const struct pf_pool *pool)
{
    return pool->count[PF_LIFE_STARTING] + pool->count[PF_LIFE_IDLE] +
           pool->count[PF_LIFE_BUSY];
}

uint64_t
pf_pool_requests(const struct pf_pool *pool)
{
    uint64_t sum = pool->requests_buried;

    for (unsigned i = 0; i < pool->used; i++) {
        if (pf_life_alive(pool->slots[i].life))
            sum += pool->slots[i].told.requests;
    }
    return sum;
}
