/* What must always hold.
 *
 * Three places look: the calls between the master's steps, which the linker leads through
 * here (watch.h); the fake kernel, when the master forks, signals or writes; and every
 * moment in which the master sleeps, because sleeping is only right while no fact is
 * pending that somebody should have woken it for.
 *
 * A failure prints the seed, what did not hold, and the last steps that led to it. */
#include "watch.h"

#include "core/rollover.h"
#include "core/shutdown.h"
#include "core/size.h"
#include "link/channel.h"
#include "log/log.h"
#include "log/outlet.h"
#include "sim.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NOTES = 60,
    NOTE_BYTES = 120,
    LARGE = 200, /* pools above this size are looked at now and then only: cost */
};

/* How long the master may sleep while connections wait and the pool could grow: the time
 * in which a bound that was passed while it was set is looked at again, rounded up. */
#define STARVED (3 * PF_MILLISECOND)
/* The same while somebody is starting, who may or may not be of use. */
#define STARVED_STARTING (300 * PF_MILLISECOND)

static struct {
    pf_time at;
    char text[NOTE_BYTES];
} notes[NOTES];
static uint64_t note_count;

/* ---- the trace --------------------------------------------------------------------------
 */

static void
note(const char *format, va_list args)
{
    unsigned i = (unsigned)(note_count++ % NOTES);

    notes[i].at = sim.now;
    (void)vsnprintf(notes[i].text, NOTE_BYTES, format, args);
    if (sim.verbose)
        (void)printf("%12.6f  %s\n", (double)sim.now / PF_SECOND, notes[i].text);
}

void
sim_note(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    note(format, args);
    va_end(args);
}

static void
print_notes(void)
{
    uint64_t first = note_count > NOTES ? note_count - NOTES : 0;

    for (uint64_t n = first; n < note_count; n++)
        (void)fprintf(stderr, "  %12.6f  %s\n", (double)notes[n % NOTES].at / PF_SECOND,
                      notes[n % NOTES].text);
}

void
sim_fail(const char *format, ...)
{
    const struct pf_policy *p = sim.master ? &sim.master->policy : &sim.policy;
    va_list args;

    print_notes();
    (void)fprintf(stderr, "sim: seed %llu, at %.6f s: ", (unsigned long long)sim.seed,
                  (double)sim.now / PF_SECOND);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fprintf(stderr,
                  "\nsim: sizing %d, min %u, spare %u to %u, max %u, handler %d, alive %u, "
                  "asleep %u, queue %u\nsim: replay with --replay %llu\n",
                  (int)p->sizing, p->min_servers, p->min_spare_servers,
                  p->max_spare_servers, p->max_servers, (int)sim.recipe.handler, sim.alive,
                  sim.asleep, sim.queue, (unsigned long long)sim.seed);
    abort();
}

bool
pf_log_wants(enum prefork_log_level level)
{
    return level <= PREFORK_LOG_DEBUG;
}

void
pf_log(enum prefork_log_level level, const char *format, ...)
{
    va_list args;

    (void)level;
    va_start(args, format);
    note(format, args);
    va_end(args);
}

/* The outlets stay the same in every life. */
void
pf_outlet_succeed(enum pf_outlet outlet, uint32_t mark)
{
    (void)outlet;
    (void)mark;
}

uint32_t
pf_outlet_mark(enum pf_outlet outlet)
{
    (void)outlet;
    return 1;
}

int
pf_outlet_fd(enum pf_outlet outlet)
{
    (void)outlet;
    return -1;
}

enum pf_log_kind
pf_outlet_kind(enum pf_outlet outlet)
{
    (void)outlet;
    return PF_LOG_STDERR;
}

int
pf_outlet_renew(enum pf_outlet outlet)
{
    (void)outlet;
    return -EINVAL;
}

int
pf_outlet_repair(enum pf_outlet outlet, pf_time now)
{
    (void)outlet;
    (void)now;
    return -EINVAL;
}

int
pf_channel_send_fd(int fd, enum pf_message_kind kind, int errnum, int passed)
{
    (void)errnum;
    (void)passed;
    SIM_CHECK(false, "message %d with a descriptor on %d: the log is the same", (int)kind,
              fd);
    return -EPIPE;
}

/* ---- the plan
 * ------------------------------------------------------------------------------ */

static bool
same_action(const struct pf_action *a, const struct pf_action *b)
{
    return a->kind == b->kind && a->reason == b->reason && a->slot == b->slot &&
           a->birth == b->birth;
}

static bool
same_plan(const struct pf_plan *a, const struct pf_plan *b)
{
    bool same = a->count == b->count && a->deadline == b->deadline &&
                a->wake_below == b->wake_below && a->watch_doors == b->watch_doors &&
                a->news == b->news && a->finished == b->finished;

    for (unsigned i = 0; same && i < a->count; i++)
        same = same_action(&a->actions[i], &b->actions[i]);
    return same;
}

/* A plan from a copy of the pool. */
static void
plan_aside(struct pf_plan *plan, const struct pf_pool *pool, const struct pf_policy *policy,
           pf_time now)
{
    static struct pf_slot *slots;
    static unsigned room;
    struct pf_pool copy = *pool;

    if (room < pool->capacity) {
        room = pool->capacity;
        slots = realloc(slots, room * sizeof *slots);
        PF_ASSERT(slots);
    }
    memcpy(slots, pool->slots, pool->used * sizeof *slots);
    copy.slots = slots;
    __real_pf_plan_make(plan, &copy, policy, now);
}

static void
watch_once(uint64_t *in, const char *what, unsigned slot)
{
    SIM_CHECK(*in != sim.counts.turns, "slot %u is to be %s twice in one plan", slot, what);
    *in = sim.counts.turns;
}

static void
watch_action(const struct pf_action *a, const struct pf_pool *pool)
{
    const struct pf_slot *s = &pool->slots[a->slot];
    struct sim_grave *g = &sim.graves[a->slot];

    switch (a->kind) {
    case PF_ACTION_BURY:
        SIM_CHECK(s->life == PF_LIFE_GONE, "slot %u is %s and to be buried", a->slot,
                  pf_life_name(s->life));
        watch_once(&g->buried_in, "buried", a->slot);
        break;
    case PF_ACTION_ASK:
        SIM_CHECK(pf_life_serving(s->life), "slot %u is %s and to be asked", a->slot,
                  pf_life_name(s->life));
        watch_once(&g->asked_in, "asked", a->slot);
        break;
    case PF_ACTION_TERM:
    case PF_ACTION_KILL:
        SIM_CHECK(pf_life_alive(s->life) &&
                      s->step < (a->kind == PF_ACTION_TERM ? PF_STEP_TERM : PF_STEP_KILL),
                  "slot %u is %s and to be signalled", a->slot, pf_life_name(s->life));
        watch_once(&g->signalled_in, "signalled", a->slot);
        break;
    case PF_ACTION_BIRTH:
    case PF_ACTION_DEQUEUE:
        SIM_CHECK(pool->stop == PF_STOP_NONE, "a birth while the server stops");
        break;
    case PF_ACTION_CLOSE_DOORS: break;
    }
}

static void
count_action(const struct pf_action *a)
{
    static const char *const kinds[] = {"bury", "close doors", "ask",    "term",
                                        "kill", "birth",       "dequeue"};

    sim_note("plan: %s slot %u: %s", kinds[a->kind], a->slot, pf_reason_text(a->reason));
    sim.counts.by_reason[a->reason]++;
    if (a->reason == PF_REASON_MAX_SPARE || a->reason == PF_REASON_QUIET)
        sim.counts.retired++;
}

static bool
looks_closely(const struct pf_pool *pool)
{
    return pool->used < LARGE || sim.counts.turns % 64 == 0;
}

/* max_servers for those that stay; and the surge for all while generations change. */
static void
watch_ceiling(unsigned births, const struct pf_pool *pool, const struct pf_policy *policy)
{
    unsigned alive = pf_pool_alive(pool);
    unsigned most = policy->max_servers;
    unsigned old = 0;

    if (births == 0)
        return;
    for (unsigned i = 0; i < pool->used; i++)
        old += pool->slots[i].kind == PF_KIND_WORKER &&
               pf_life_alive(pool->slots[i].life) &&
               pf_pool_is_outdated(pool, &pool->slots[i]);
    most += old > 0 ? pool->rollover.surge : 0;
    most += pool->trial.on ? pool->trial.surge : 0;
    SIM_CHECK(alive + births <= most, "%u births planned for %u alive of %u", births, alive,
              most);
    SIM_CHECK(pool->trial.on || alive - old + births <= policy->max_servers,
              "%u births planned for %u that stay of %u", births, alive - old,
              policy->max_servers);
}

/* Nobody leaves for the generation that is not born yet, or is not known to work. */
static void
watch_leaving(const struct pf_plan *plan, const struct pf_pool *pool,
              const struct pf_policy *policy)
{
    unsigned size = pool->rollover.size < policy->max_servers ? pool->rollover.size
                                                              : policy->max_servers;
    unsigned ready = 0;
    unsigned old = 0;

    for (unsigned i = 0; i < pool->used; i++)
        ready += pool->slots[i].kind == PF_KIND_WORKER && pf_pool_is_ready(&pool->slots[i]);
    for (unsigned i = 0; i < plan->count; i++) {
        const struct pf_action *a = &plan->actions[i];
        const struct pf_slot *s = &pool->slots[a->slot];
        if (a->kind != PF_ACTION_ASK || s->kind != PF_KIND_WORKER)
            continue;
        SIM_CHECK(!pool->trial.on, "slot %u is asked during a trial", a->slot);
        if (a->reason != PF_REASON_OUTDATED)
            continue;
        SIM_CHECK(pf_pool_is_outdated(pool, s), "slot %u is asked as outdated", a->slot);
        ready -= pf_pool_is_ready(s);
        old++;
    }
    SIM_CHECK(old == 0 || ready >= size, "%u of %u ready are left by %u that are outdated",
              ready, size, old);
}

static void
watch_plan(const struct pf_plan *plan, const struct pf_pool *pool,
           const struct pf_policy *policy)
{
    unsigned births = 0;
    unsigned dequeues = 0;

    for (unsigned i = 0; i < plan->count; i++) {
        watch_action(&plan->actions[i], pool);
        count_action(&plan->actions[i]);
        births += plan->actions[i].kind == PF_ACTION_BIRTH;
        dequeues += plan->actions[i].kind == PF_ACTION_DEQUEUE;
    }
    SIM_CHECK(dequeues == 0 ||
                  (dequeues == 1 && pf_pool_dequeues(pool) < policy->max_dequeue),
              "%u dequeue processes planned, %u of %u alive", dequeues,
              pf_pool_dequeues(pool), policy->max_dequeue);
    watch_ceiling(births, pool, policy);
    if (looks_closely(pool))
        watch_leaving(plan, pool, policy);
    SIM_CHECK(births <= PF_PLAN_BIRTHS_MAX, "%u births in one plan", births);
    SIM_CHECK(plan->news != PF_REASON_FULL ||
                  (plan->queued > 0 && pf_pool_alive(pool) >= policy->max_servers &&
                   pool->count[PF_LIFE_IDLE] + pool->count[PF_LIFE_STARTING] == 0),
              "told to be full with %u waiting, %u alive, %u idle", plan->queued,
              pf_pool_alive(pool), pool->count[PF_LIFE_IDLE]);
    sim.counts.by_reason[plan->news]++;
}

void
__wrap_pf_plan_make(struct pf_plan *plan, struct pf_pool *pool,
                    const struct pf_policy *policy, pf_time now)
{
    bool closely = looks_closely(pool);
    struct pf_plan aside;

    sim.counts.turns++;
    sim_reload_tend(sim.master);
    if (policy->max_servers > sim.max_ever)
        sim.max_ever = policy->max_servers;
    if (closely)
        plan_aside(&aside, pool, policy, now);
    __real_pf_plan_make(plan, pool, policy, now);
    SIM_CHECK(!closely || same_plan(plan, &aside), "equal input, another plan");
    watch_plan(plan, pool, policy);
}

/* ---- the pool after the act
 * --------------------------------------------------------------------- */

static void
watch_counts(const struct pf_pool *pool, const struct pf_policy *policy)
{
    unsigned counts[2][PF_LIFE_COUNT_OF] = {{0}};
    unsigned *count = counts[PF_KIND_WORKER];
    unsigned recycling = 0;

    for (unsigned i = 0; i < pool->used; i++) {
        const struct pf_slot *s = &pool->slots[i];
        counts[s->life == PF_LIFE_VACANT ? PF_KIND_WORKER : s->kind][s->life]++;
        recycling += s->kind == PF_KIND_WORKER && s->life == PF_LIFE_DRAINING &&
                     s->reason == PF_REASON_MAX_REQUESTS;
    }
    count[PF_LIFE_VACANT] += pool->capacity - pool->used;
    SIM_CHECK(memcmp(count, pool->count, sizeof pool->count) == 0 &&
                  memcmp(counts[PF_KIND_DEQUEUE], pool->dequeues, sizeof pool->dequeues) ==
                      0,
              "lives are miscounted");
    SIM_CHECK(sim.dequeues <= pf_pool_dequeues(pool),
              "%u dequeue processes alive, %u in the table", sim.dequeues,
              pf_pool_dequeues(pool));
    SIM_CHECK(recycling <= policy->max_recycling, "%u are being replaced at once",
              recycling);
    SIM_CHECK(sim.alive <= pf_pool_alive(pool), "%u alive, %u in the table", sim.alive,
              pf_pool_alive(pool));
}

/* Workers leave for one reason per plan; who is to be replaced can wait for the next. */
static bool
can_wait(const struct pf_action *a)
{
    return a->kind == PF_ACTION_BURY ||
           (a->kind == PF_ACTION_ASK &&
            (a->reason == PF_REASON_MAX_REQUESTS || a->reason == PF_REASON_OUTDATED));
}

/* A plan that was carried out leaves nothing to do at the same moment. */
static void
watch_rest(struct pf_master *m, const struct pf_plan *plan)
{
    struct pf_plan next;

    if (plan->deadline <= m->now || m->deadline <= m->now)
        return;
    plan_aside(&next, &m->pool, &m->policy, m->now);
    for (unsigned i = 0; i < next.count; i++)
        SIM_CHECK(can_wait(&next.actions[i]), "a plan left an action %d (%s)",
                  (int)next.actions[i].kind, pf_reason_text(next.actions[i].reason));
}

void
__wrap_pf_master_act(struct pf_master *m, const struct pf_plan *plan)
{
    __real_pf_master_act(m, plan);
    if (looks_closely(&m->pool)) {
        watch_counts(&m->pool, &m->policy);
        watch_rest(m, plan);
    }
}

/* ---- the board
 * -------------------------------------------------------------------------------------- */

static bool
is_changing(const struct pf_board *b, unsigned used)
{
    for (unsigned i = 0; i < used; i++) {
        const struct pf_board_slot *s = pf_board_slot(b, i);
        uint32_t state = s ? atomic_load(&s->state) : PF_BOARD_BUSY;
        if (b->notes[i].counted && (state == PF_BOARD_TO_IDLE || state == PF_BOARD_TO_BUSY))
            return true;
    }
    return false;
}

void
__wrap_pf_board_audit(struct pf_board *b, unsigned used)
{
    if (sim_chance(300))
        sim_pass(sim_span(0, 30));
    __real_pf_board_audit(b, used);
    if (sim.hostile || used > LARGE || is_changing(b, used))
        return;
    SIM_CHECK(pf_board_idle(b) == sim.idle, "%u idle by the board, %lld in truth",
              pf_board_idle(b), (long long)sim.idle);
}

bool
__wrap_pf_board_arm(struct pf_board *b, uint32_t wake_below, bool want_ready)
{
    bool below;

    if (sim_chance(300))
        sim_pass(sim_span(0, 30));
    below = __real_pf_board_arm(b, wake_below, want_ready);
    if (sim_chance(300))
        sim_pass(sim_span(0, 30));
    return below;
}

/* ---- what the master does to a worker
 * ---------------------------------------------------------------- */

static const struct sim_process *
process_of(unsigned slot)
{
    return &sim.processes[sim_process_of(sim.master->children[slot].process.pid)];
}

void
sim_watch_ask(const struct sim_process *p)
{
    const struct pf_slot *s = &sim.master->pool.slots[p->slot];

    SIM_CHECK(pf_life_serving(s->life), "slot %u is %s and was asked", p->slot,
              pf_life_name(s->life));
    SIM_CHECK(!p->asked_ever, "slot %u was asked twice", p->slot);
}

/* The times that workers tell are the coarse clock's, so a request may seem that much
 * longer than it is. */
static bool
is_just(const struct sim_process *p, const struct pf_slot *s, enum pf_reason reason,
        pf_time now)
{
    const struct pf_policy *policy = &sim.master->policy;

    if (p->dequeue && (reason == PF_REASON_SLOW_START || reason == PF_REASON_SLOW_REQUEST))
        return false; /* no time limit is set for it */
    switch (reason) {
    case PF_REASON_SLOW_START:
        /* that a program has just become one is not to be seen */
        return (!p->was_ready || p->foreign) && now - s->born >= policy->start_timeout;
    case PF_REASON_SLOW_REQUEST:
        return p->state != SIM_SERVING ||
               sim.now - p->began >= policy->request_timeout - 4 * PF_MILLISECOND;
    case PF_REASON_SLOW_LEAVE:
        return !policy->leave_children_open && now - s->asked >= policy->graceful_timeout;
    case PF_REASON_STILL_THERE: return now - s->signalled >= policy->kill_timeout;
    case PF_REASON_STOP: return sim.master->pool.stop >= PF_STOP_TERM;
    default: return false;
    }
}

void
__wrap_pf_pool_signalled(struct pf_pool *pool, unsigned slot, enum pf_step step,
                         enum pf_reason reason, pf_time now)
{
    const struct sim_process *p = process_of(slot);

    SIM_CHECK(pf_life_alive(pool->slots[slot].life), "a signal to a dead worker");
    SIM_CHECK(sim.hostile || !sim_process_alive(p) ||
                  is_just(p, &pool->slots[slot], reason, now),
              "slot %u was signalled unjustly: %s", slot, pf_reason_text(reason));
    __real_pf_pool_signalled(pool, slot, step, reason, now);
}

static bool
is_useful(const struct sim_grave *g)
{
    return g->was_ready && g->fate != SIM_FATE_REFUSE_INIT &&
           (g->requests > 0 || g->age >= 2 * PF_SECOND) && !g->foreign;
}

void
__wrap_pf_pool_died(struct pf_pool *pool, unsigned slot, int wait_status, pf_time now)
{
    const struct sim_grave *g = &sim.graves[slot];

    __real_pf_pool_died(pool, slot, wait_status, now);
    SIM_CHECK(sim.hostile || pool->slots[slot].reason != PF_REASON_BAD_START ||
                  !is_useful(g),
              "slot %u served %llu requests in %.3f s and is called a bad start", slot,
              (unsigned long long)g->requests, (double)g->age / PF_SECOND);
}

/* ---- births and ends
 * ------------------------------------------------------------------------------------ */

/* A program that never gets anywhere: the first workers and their replacements (until one
 * of those has failed too), then one per pause of core/backoff.c, whose pauses are at
 * least three quarters of a tenth of a second, doubling up to a minute. */
static uint64_t
doomed_births(void)
{
    pf_time t = sim.now - sim.started;
    uint64_t births = 2 * (uint64_t)sim.max_ever + 2;

    for (pf_time pause = PF_SECOND * 3 / 40; t > 0; births++) {
        t -= pause;
        pause = pf_time_earlier(2 * pause, 45 * PF_SECOND);
    }
    return births;
}

void
sim_watch_pre_fork(enum prefork_kind kind, void *data)
{
    (void)data;
    sim.for_dequeue = kind == PREFORK_KIND_DEQUEUE;
}

/* Never too many of them, and never too soon by the master's clock, which stands still
 * within a turn. */
static void
watch_dequeue(void)
{
    const struct pf_policy *policy = &sim.master->policy;
    pf_time now = sim.master->now;

    sim.counts.dequeues++;
    sim.dequeue_lives++;
    SIM_CHECK(sim.dequeues < policy->max_dequeue, "dequeue process number %u of %u",
              sim.dequeues + 1, policy->max_dequeue);
    SIM_CHECK(now - sim.last_dequeue >= policy->check_for_dequeue,
              "a dequeue process %.3f s after the last one",
              (double)(now - sim.last_dequeue) / PF_SECOND);
    sim.last_dequeue = now;
}

void
sim_watch_birth(const struct sim_process *p)
{
    const struct pf_master *m = sim.master;

    sim.counts.lives++;
    SIM_CHECK(m->pool.stop == PF_STOP_NONE, "a birth while the server stops");
    if (p->dequeue) {
        watch_dequeue();
        return;
    }
    SIM_CHECK(pf_rollover_room(&m->pool, &m->policy) > 0, "a birth above the ceiling");
    SIM_CHECK(!sim.program.doomed || sim.life - sim.dequeue_lives <= doomed_births(),
              "%llu births of a program that always fails, in %.1f s",
              (unsigned long long)(sim.life - sim.dequeue_lives),
              (double)(sim.now - sim.started) / PF_SECOND);
}

void
sim_watch_reaped(const struct sim_process *p)
{
    struct sim_grave *g = &sim.graves[p->slot];

    g->life = p->life;
    g->requests = p->requests;
    g->age = sim.now - p->born;
    g->fate = p->fate;
    g->was_ready = p->was_ready;
    g->foreign = p->foreign;
    SIM_CHECK(sim.recipe.max_requests == 0 || p->foreign ||
                  p->requests <= sim.recipe.max_requests,
              "a worker accepted %llu connections", (unsigned long long)p->requests);
}

void
sim_watch_buried(const struct prefork_child *child, void *data)
{
    const struct sim_grave *g = &sim.graves[child->slot];

    (void)data;
    sim.buried++;
    if (sim.hostile || g->foreign)
        return;
    SIM_CHECK(child->requests == g->requests,
              "the obituary of slot %u says %lu requests, it served %llu", child->slot,
              child->requests, (unsigned long long)g->requests);
}

/* ---- sleeping
 * ----------------------------------------------------------------------------------------------
 */

static bool
may_grow(const struct pf_master *m)
{
    return m->pool.stop == PF_STOP_NONE && !m->pool.trial.on &&
           pf_rollover_room(&m->pool, &m->policy) > 0 && m->pool.fork.streak == 0 &&
           !pf_backoff_cautious(&m->pool.start) && sim.recipe.handler != PF_HANDLER_WAIT;
}

static unsigned
floor_of(const struct pf_policy *policy)
{
    return policy->sizing == PF_SIZING_STATIC    ? policy->max_servers
           : policy->sizing == PF_SIZING_DYNAMIC ? policy->min_servers
                                                 : 0;
}

/* Outdated workers that were asked are looked at again when their time is over. */
static void
watch_slow(const struct pf_master *m, pf_time deadline)
{
    if (m->policy.leave_children_open || !looks_closely(&m->pool))
        return;
    for (unsigned i = 0; i < m->pool.used; i++) {
        const struct pf_slot *s = &m->pool.slots[i];
        SIM_CHECK(s->life != PF_LIFE_DRAINING || s->reason != PF_REASON_OUTDATED ||
                      s->kind != PF_KIND_WORKER ||
                      deadline <= s->asked + m->policy.graceful_timeout,
                  "slot %u may take its time to leave", i);
    }
}

void
sim_watch_sleep(pf_time deadline)
{
    const struct pf_master *m = sim.master;

    sim.starved_since = PF_NEVER;
    if (deadline <= sim.now || m->pool.births == 0)
        return;
    SIM_CHECK(!may_grow(m) || pf_pool_serving(&m->pool) >= floor_of(&m->policy),
              "the master sleeps with %u serving", pf_pool_serving(&m->pool));
    SIM_CHECK(!m->pool.trial.on || deadline <= m->pool.trial.deadline,
              "the master sleeps longer than a trial may last");
    watch_slow(m, deadline);
    SIM_CHECK(deadline != PF_NEVER || m->pool.stop == PF_STOP_NONE ||
                  m->pool.stop == PF_STOP_GIVE_UP,
              "no deadline while stopping");
}

/* Connections wait, nobody there will take them soon, and more could be there. */
static bool
is_starving(const struct pf_master *m)
{
    return sim.queue > 0 && sim.asleep == 0 && sim.woken == 0 && sim.ready_first < 0 &&
           !sim.hostile && may_grow(m) && sim.queue > m->pool.count[PF_LIFE_STARTING];
}

void
sim_watch_asleep(void)
{
    const struct pf_master *m = sim.master;
    bool starting = m->pool.count[PF_LIFE_STARTING] > 0;

    SIM_CHECK(sim.queue == 0 || sim.asleep == 0 || sim.woken > 0 || sim.ending > 0,
              "%u connections wait while %u workers sleep", sim.queue, sim.asleep);
    if (!is_starving(m)) {
        sim.starved_since = PF_NEVER;
        return;
    }
    if (sim.starved_since == PF_NEVER)
        sim.starved_since = sim.now;
    SIM_CHECK(sim.now - sim.starved_since <= (starting ? STARVED_STARTING : STARVED) ||
                  sim.deadline <= sim.now,
              "%u connections wait while the master sleeps and %u of %u workers live",
              sim.queue, sim.alive, m->policy.max_servers);
}

void
sim_watch_reset(void)
{
    free(sim.graves);
    sim.graves = calloc(pf_master_capacity(&sim.policy), sizeof *sim.graves);
    PF_ASSERT(sim.graves);
    sim.idle = 0;
    sim.alive = 0;
    sim.dequeues = 0;
    sim.dequeue_lives = 0;
    sim.last_dequeue = sim.now;
    sim.hostile = false;
    sim.starved_since = PF_NEVER;
    sim.stop_asked = 0;
    sim.stop_bound = PF_NEVER;
    sim.buried = 0;
    sim.max_ever = sim.policy.max_servers;
    note_count = 0;
    sim.started = sim.now;
}

/* A turn per level and rounding to the millisecond, a few turns per hundred workers. */
static pf_time
slack(void)
{
    return 50 * PF_MILLISECOND + (pf_time)sim.max_ever * PF_MILLISECOND / 10;
}

void
sim_watch_end(void)
{
    const struct pf_pool *pool = &sim.master->pool;

    SIM_CHECK(sim.stop_asked > 0, "the master left by itself");
    SIM_CHECK(sim.now <= sim.stop_bound + slack(), "the end took %.3f s, %.3f s too long",
              (double)(sim.now - sim.stop_asked) / PF_SECOND,
              (double)(sim.now - sim.stop_bound) / PF_SECOND);
    SIM_CHECK(pool->stop == PF_STOP_GIVE_UP ||
                  (sim.alive + sim.dequeues == 0 && sim.buried == sim.life),
              "%u alive at the end, %llu of %llu buried", sim.alive,
              (unsigned long long)sim.buried, (unsigned long long)sim.life);
}
