/* Facts become actions.
 *
 * Order matters and is the order below: the dead are buried first (their slots are needed),
 * then the end of the server is looked at, then single deadlines, then who should be born,
 * then who should leave. Each step adds actions to the plan; when the plan is full the
 * rest waits for the next turn, which comes at once (deadline now). Nothing is lost by
 * that, since every step decides from the pool as it is.
 *
 * The plan's promises, checked by the simulator on every step: no birth above max_servers,
 * no birth while the server stops, no action a worker's life forbids, nobody asked twice.
 */
#include "core/plan.h"

#include "base/attr.h"
#include "core/departure.h"
#include "core/dequeue.h"
#include "core/full.h"
#include "core/overdue.h"
#include "core/recycle.h"
#include "core/shutdown.h"
#include "core/size.h"

static bool
is_full(const struct pf_plan *plan)
{
    return plan->count == PF_PLAN_ACTIONS_MAX;
}

/* False: no room; the caller's step goes on in the next turn. */
static bool
add(struct pf_plan *plan, enum pf_action_kind kind, enum pf_reason reason,
    const struct pf_pool *pool, unsigned slot, pf_time now)
{
    if (is_full(plan)) {
        plan->deadline = now;
        return false;
    }
    plan->actions[plan->count++] = (struct pf_action){
        .kind = kind,
        .reason = reason,
        .slot = slot,
        .birth = slot < pool->used ? pool->slots[slot].birth : 0,
    };
    return true;
}

static void
plan_burials(struct pf_plan *plan, const struct pf_pool *pool, pf_time now)
{
    if (pool->count[PF_LIFE_GONE] + pool->dequeues[PF_LIFE_GONE] == 0)
        return;
    for (unsigned i = 0; i < pool->used; i++) {
        if (pool->slots[i].life == PF_LIFE_GONE &&
            !add(plan, PF_ACTION_BURY, pool->slots[i].reason, pool, i, now))
            return;
    }
    if (pool->stop != PF_STOP_NONE || pool->count[PF_LIFE_VACANT] == 0)
        plan->deadline = now; /* somebody waits for the burial */
}

/* What the end of the server asks of one worker at the level it has reached. */
static bool
plan_worker_stop(struct pf_plan *plan, const struct pf_pool *pool, unsigned i, pf_time now)
{
    const struct pf_slot *s = &pool->slots[i];

    if (!pf_life_alive(s->life))
        return true;
    if (pool->stop >= PF_STOP_KILL)
        return s->step == PF_STEP_KILL ||
               add(plan, PF_ACTION_KILL, PF_REASON_STOP, pool, i, now);
    if (pool->stop == PF_STOP_TERM)
        return s->life == PF_LIFE_STOPPING ||
               add(plan, PF_ACTION_TERM, PF_REASON_STOP, pool, i, now);
    return !pf_life_serving(s->life) ||
           add(plan, PF_ACTION_ASK, PF_REASON_STOP, pool, i, now);
}

/* Workers are asked before the doors close: the message is there when the closing door
 * wakes them. */
static void
plan_stop(struct pf_plan *plan, struct pf_pool *pool, const struct pf_policy *policy,
          pf_time now)
{
    pf_shutdown_advance(pool, policy, now);
    for (unsigned i = 0; i < pool->used; i++) {
        if (!plan_worker_stop(plan, pool, i, now))
            return;
    }
    if (!pool->doors_closed &&
        !add(plan, PF_ACTION_CLOSE_DOORS, PF_REASON_STOP, pool, 0, now))
        return;
    plan->deadline = pf_time_earlier(plan->deadline, pf_shutdown_at(pool, policy));
}

/* What one worker deserves: its client has gone, or it missed a deadline. */
static enum pf_step
step_of(const struct pf_slot *s, const struct pf_policy *policy, pf_time now,
        enum pf_reason *ret_reason, pf_time *at)
{
    enum pf_step step = pf_departure_step(s, policy);

    if (step == PF_STEP_NONE)
        return pf_overdue_step(s, policy, now, ret_reason, at);
    *ret_reason = PF_REASON_CLIENT_GONE;
    return step;
}

/* Deadlines of single workers, and clients that have gone. Nobody is signalled for both: a
 * worker that the end of the server signals in this plan is met again by the next. That a
 * client has gone is planned for once: if it is not acted on, the connection was over. */
static void
plan_overdue(struct pf_plan *plan, struct pf_pool *pool, const struct pf_policy *policy,
             pf_time now)
{
    for (unsigned i = 0; i < pool->used; i++) {
        enum pf_reason reason = PF_REASON_NONE;
        enum pf_step step = step_of(&pool->slots[i], policy, now, &reason, &plan->deadline);
        if (step == PF_STEP_NONE)
            continue;
        if (!add(plan, step == PF_STEP_KILL ? PF_ACTION_KILL : PF_ACTION_TERM, reason, pool,
                 i, now))
            return;
        pool->slots[i].client_gone = false;
    }
}

/* A request may exceed its limit at the earliest one limit after the master last looked:
 * who is idle now is looked at again then. Nobody wakes the master for it. */
static void
plan_next_look(struct pf_plan *plan, const struct pf_pool *pool,
               const struct pf_policy *policy, pf_time now)
{
    if (policy->request_timeout != PF_NEVER && pf_pool_alive(pool) > 0)
        plan->deadline =
            pf_time_earlier(plan->deadline, pf_time_after(now, policy->request_timeout));
}

static bool
is_planned(const struct pf_plan *plan, unsigned slot)
{
    for (unsigned a = 0; a < plan->count; a++) {
        if (plan->actions[a].slot == slot)
            return true;
    }
    return false;
}

/* The worker of this life that has been in it longest and is not in the plan yet;
 * pool->used if there is none. */
static unsigned
longest(const struct pf_plan *plan, const struct pf_pool *pool, enum pf_life life)
{
    unsigned best = pool->used;

    for (unsigned i = 0; i < pool->used; i++) {
        const struct pf_slot *s = &pool->slots[i];
        if (s->life != life || s->kind != PF_KIND_WORKER)
            continue;
        if (best < pool->used && s->told.since >= pool->slots[best].told.since)
            continue;
        if (!is_planned(plan, i))
            best = i;
    }
    return best;
}

/* Ask up to n workers of this life; how many could not be asked for want of workers. */
static unsigned
ask_longest(struct pf_plan *plan, const struct pf_pool *pool, enum pf_life life, unsigned n,
            enum pf_reason reason, pf_time now)
{
    for (; n > 0; n--) {
        unsigned slot = longest(plan, pool, life);
        if (slot == pool->used || !add(plan, PF_ACTION_ASK, reason, pool, slot, now))
            return n;
    }
    return 0;
}

/* max_servers was lowered below what lives: idle ones go first, then busy ones as they
 * finish. */
static void
plan_over_max(struct pf_plan *plan, const struct pf_pool *pool,
              const struct pf_policy *policy, pf_time now)
{
    unsigned serving = pf_pool_serving(pool);
    unsigned left = serving > policy->max_servers ? serving - policy->max_servers : 0;

    left = ask_longest(plan, pool, PF_LIFE_IDLE, left, PF_REASON_OVER_MAX, now);
    left = ask_longest(plan, pool, PF_LIFE_BUSY, left, PF_REASON_OVER_MAX, now);
    (void)ask_longest(plan, pool, PF_LIFE_STARTING, left, PF_REASON_OVER_MAX, now);
}

static unsigned
births_in(const struct pf_plan *plan)
{
    unsigned count = 0;

    for (unsigned i = 0; i < plan->count; i++)
        count += plan->actions[i].kind == PF_ACTION_BIRTH;
    return count;
}

/* Who has to wait for room waits for a worker that is starting, or for one that leaves. */
static void
plan_recycling(struct pf_plan *plan, const struct pf_pool *pool,
               const struct pf_policy *policy, pf_time now)
{
    unsigned room = pf_recycle_room(pool, policy, births_in(plan));

    for (unsigned i = 0; i < pool->used; i++) {
        enum pf_reason reason = pf_recycle_reason(pool, &pool->slots[i]);
        if (reason == PF_REASON_NONE || is_planned(plan, i))
            continue;
        if (room == 0) {
            plan->want_ready = true;
            return;
        }
        if (!add(plan, PF_ACTION_ASK, reason, pool, i, now))
            return;
        room--;
    }
}

/* Workers that a window found superfluous. Those that went busy meanwhile are needed
 * after all, and so the number is forgotten once nobody idle is left. */
static void
plan_surplus(struct pf_plan *plan, struct pf_pool *pool, pf_time now)
{
    unsigned left =
        ask_longest(plan, pool, PF_LIFE_IDLE, pool->surplus, pool->surplus_reason, now);

    pool->surplus = is_full(plan) ? left : 0;
}

/* Who leaves, for one reason per plan: after TTOU, for max_requests, or as a surplus. The
 * numbers were computed from the pool as it is, so one of them has to be carried out
 * before the next can be right. */
static void
plan_leaving(struct pf_plan *plan, struct pf_pool *pool, const struct pf_policy *policy,
             pf_time now)
{
    unsigned before = plan->count;

    pf_size_watch(pool, policy, now);
    plan_over_max(plan, pool, policy, now);
    if (plan->count == before)
        plan_recycling(plan, pool, policy, now);
    if (plan->count == before)
        plan_surplus(plan, pool, now);
    else if (pool->surplus > 0)
        plan->deadline = now;
    plan->deadline = pf_time_earlier(plan->deadline, pf_size_watch_at(pool, policy));
}

/* After bad starts, one birth at a time, and none while that one has not proven itself.
 * Where none is allowed the plan's deadline is when that changes. */
static unsigned
births_allowed(struct pf_plan *plan, struct pf_pool *pool, pf_time now,
               enum pf_reason *reason)
{
    if (!pf_backoff_may_try(&pool->fork, now)) {
        plan->deadline = pf_time_earlier(plan->deadline, pool->fork.next_at);
        return 0;
    }
    pf_pool_forgive(pool, now);
    if (!pf_backoff_cautious(&pool->start))
        return PF_PLAN_BIRTHS_MAX;
    plan->deadline = pf_time_earlier(plan->deadline, pf_pool_forgive_at(pool, now));
    if (!pf_backoff_may_try(&pool->start, now)) {
        plan->deadline = pf_time_earlier(plan->deadline, pool->start.next_at);
        return 0;
    }
    if (pf_pool_is_probing(pool, now)) {
        plan->want_ready = true;
        return 0;
    }
    *reason = PF_REASON_PROBE;
    return 1;
}

/* True if more could be born now, if only they were wanted. */
static bool
plan_births(struct pf_plan *plan, struct pf_pool *pool, const struct pf_policy *policy,
            pf_time now)
{
    enum pf_reason reason = PF_REASON_NONE;
    unsigned wanted = pf_size_births(pool, policy, &reason);
    unsigned allowed = births_allowed(plan, pool, now, &reason);

    for (unsigned n = 0; n < wanted && n < allowed; n++) {
        if (!add(plan, PF_ACTION_BIRTH, reason, pool, pool->capacity, now))
            return false;
    }
    if (wanted > PF_PLAN_BIRTHS_MAX && allowed == PF_PLAN_BIRTHS_MAX)
        plan->deadline = now;
    return wanted == 0 && allowed > 0;
}

/* The next dequeue process, if it is due and can be forked; and those from before a restart
 * of the workers, whose work a new one will take up, are asked to leave. */
static void
plan_dequeues(struct pf_plan *plan, const struct pf_pool *pool,
              const struct pf_policy *policy, pf_time now)
{
    pf_time due = pf_dequeue_at(pool, policy);

    if (due > now || !pf_backoff_may_try(&pool->fork, now))
        plan->deadline =
            pf_time_earlier(plan->deadline, due > now ? due : pool->fork.next_at);
    else
        (void)add(plan, PF_ACTION_DEQUEUE, PF_REASON_DEQUEUE, pool, pool->capacity, now);
    for (unsigned i = 0; i < pool->used; i++) {
        if (pf_dequeue_is_outdated(pool, &pool->slots[i]) &&
            !add(plan, PF_ACTION_ASK, PF_REASON_OUTDATED, pool, i, now))
            return;
    }
}

/* Nobody idle will cross a bound and wake the master. If somebody starts, he will take
 * from the queue, but may be slow or too few: look again soon. If nobody does, the first
 * connection itself has to wake the master. */
static void
plan_no_idle(struct pf_plan *plan, const struct pf_pool *pool, pf_time now)
{
    if (pool->count[PF_LIFE_STARTING] > 0)
        plan->deadline = pf_time_earlier(plan->deadline, now + PF_PLAN_LOOK);
    else
        plan->watch_doors = true;
}

/* Nobody can be born for those who wait: then at least somebody is to know. A plan with
 * actions does not look, for the pool will be another: the next one comes at once. */
static void
plan_news(struct pf_plan *plan, struct pf_pool *pool, const struct pf_policy *policy,
          pf_time now)
{
    if (plan->count > 0)
        return;
    plan->news = pf_full_watch(pool, policy, now);
    plan->busy = pf_pool_alive(pool);
    plan->queued = pool->queued;
    plan->deadline = pf_time_earlier(plan->deadline, pf_full_watch_at(pool, now));
}

static void
plan_serving(struct pf_plan *plan, struct pf_pool *pool, const struct pf_policy *policy,
             pf_time now)
{
    bool could_grow = plan_births(plan, pool, policy, now);

    plan_leaving(plan, pool, policy, now);
    plan_dequeues(plan, pool, policy, now);
    plan_next_look(plan, pool, policy, now);
    plan_news(plan, pool, policy, now);
    plan->wake_below = pf_size_wake_below(pool, policy);
    if (could_grow && plan->wake_below > 0 && pool->count[PF_LIFE_IDLE] == 0)
        plan_no_idle(plan, pool, now);
    if (plan->wake_below == 0)
        plan->wake_below = pf_full_wake_below(pool, policy);
    if (pf_time_after(now, policy->check_for_spawn) < plan->deadline &&
        policy->sizing != PF_SIZING_STATIC && pf_pool_alive(pool) > 0)
        plan->deadline = pf_time_after(now, policy->check_for_spawn);
}

void
pf_plan_make(struct pf_plan *plan, struct pf_pool *pool, const struct pf_policy *policy,
             pf_time now)
{
    *plan = (struct pf_plan){.deadline = PF_NEVER};
    plan_burials(plan, pool, now);
    if (pool->stop == PF_STOP_NONE) {
        plan_overdue(plan, pool, policy, now);
        plan_serving(plan, pool, policy, now);
    } else {
        plan_stop(plan, pool, policy, now);
        if (pool->stop < PF_STOP_TERM)
            plan_overdue(plan, pool, policy, now);
    }
    plan->finished = pf_shutdown_finished(pool);
    pool->queued = 0;
    pool->idle_lowest = UINT_MAX;
}
