/* Facts become actions.
 *
 * Order matters and is the order below: the dead are buried first (their slots are needed),
 * then the end of the server is looked at, then single deadlines, then who should be born,
 * then who should leave. Each step adds actions to the plan; when the plan is full the
 * rest waits for the next turn, which comes at once (deadline now). Nothing is lost by
 * that, since every step decides from the pool as it is.
 *
 * The plan's promises, checked by the simulator on every step: no birth above the ceiling
 * (core/rollover.h), nobody asked as outdated whom the pool cannot spare, no birth while
 * the server stops, no action a worker's life forbids, nobody asked twice.
 */
#include "core/plan.h"

#include "base/attr.h"
#include "core/departure.h"
#include "core/dequeue.h"
#include "core/full.h"
#include "core/leaving.h"
#include "core/overdue.h"
#include "core/rollover.h"
#include "core/shutdown.h"
#include "core/size.h"

bool
pf_plan_is_full(const struct pf_plan *plan)
{
    return plan->count == PF_PLAN_ACTIONS_MAX;
}

bool
pf_plan_add(struct pf_plan *plan, enum pf_action_kind kind, enum pf_reason reason,
            const struct pf_pool *pool, unsigned slot, pf_time now)
{
    if (pf_plan_is_full(plan)) {
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
            !pf_plan_add(plan, PF_ACTION_BURY, pool->slots[i].reason, pool, i, now))
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
               pf_plan_add(plan, PF_ACTION_KILL, PF_REASON_STOP, pool, i, now);
    if (pool->stop == PF_STOP_TERM)
        return s->life == PF_LIFE_STOPPING ||
               pf_plan_add(plan, PF_ACTION_TERM, PF_REASON_STOP, pool, i, now);
    return !pf_life_serving(s->life) ||
           pf_plan_add(plan, PF_ACTION_ASK, PF_REASON_STOP, pool, i, now);
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
        !pf_plan_add(plan, PF_ACTION_CLOSE_DOORS, PF_REASON_STOP, pool, 0, now))
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
        if (!pf_plan_add(plan, step == PF_STEP_KILL ? PF_ACTION_KILL : PF_ACTION_TERM,
                         reason, pool, i, now))
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
    if (pool->trial.on || !pf_backoff_cautious(&pool->start))
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

/* Births that are due now, and why. */
static unsigned
births_wanted(const struct pf_pool *pool, const struct pf_policy *policy,
              enum pf_reason *ret_reason)
{
    unsigned wanted;
    unsigned successors;

    if (pool->trial.on)
        return pf_trial_births(pool, policy, ret_reason);
    wanted = pf_size_births(pool, policy, ret_reason);
    successors = pf_rollover_births(pool, policy);
    if (successors <= wanted)
        return wanted;
    *ret_reason = PF_REASON_REPLACE;
    return successors;
}

/* True if more could be born now, if only they were wanted. */
static bool
plan_births(struct pf_plan *plan, struct pf_pool *pool, const struct pf_policy *policy,
            pf_time now)
{
    enum pf_reason reason = PF_REASON_NONE;
    unsigned wanted = births_wanted(pool, policy, &reason);
    unsigned allowed = births_allowed(plan, pool, now, &reason);

    for (unsigned n = 0; n < wanted && n < allowed; n++) {
        if (!pf_plan_add(plan, PF_ACTION_BIRTH, reason, pool, pool->capacity, now))
            return false;
    }
    if (wanted > PF_PLAN_BIRTHS_MAX && allowed == PF_PLAN_BIRTHS_MAX)
        plan->deadline = now;
    return wanted == 0 && allowed > 0 && !pool->trial.on;
}

/* Nobody leaves while a new generation is tried; who was idle meanwhile is no surplus. */
static void
plan_trial(struct pf_plan *plan, struct pf_pool *pool, const struct pf_policy *policy,
           pf_time now)
{
    pf_size_watch(pool, policy, now);
    pool->surplus = 0;
    plan->want_ready = true;
    if (pf_trial_judge(pool, policy, now) == PF_TRIAL_UNDECIDED)
        plan->deadline = pf_time_earlier(plan->deadline, pool->trial.deadline);
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
        (void)pf_plan_add(plan, PF_ACTION_DEQUEUE, PF_REASON_DEQUEUE, pool, pool->capacity,
                          now);
    for (unsigned i = 0; i < pool->used; i++) {
        if (pf_dequeue_is_outdated(pool, &pool->slots[i]) &&
            !pf_plan_add(plan, PF_ACTION_ASK, PF_REASON_OUTDATED, pool, i, now))
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

    if (pool->trial.on)
        plan_trial(plan, pool, policy, now);
    else
        pf_leaving_plan(plan, pool, policy, now);
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
        pf_leaving_hurry(pool, now);
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
