/* Who is asked to leave, and who goes first.
 *
 * There are four reasons, and each plan knows one of them: after TTOU, for max_requests, as
 * outdated, or as a surplus. The numbers were computed from the pool as it is, so one of
 * them has to be carried out before the next can be right.
 *
 * Idle workers go before busy ones, and outdated ones before others. */
#include "core/leaving.h"

#include "core/recycle.h"
#include "core/rollover.h"
#include "core/size.h"

static bool
is_planned(const struct pf_plan *plan, unsigned slot)
{
    for (unsigned a = 0; a < plan->count; a++) {
        if (plan->actions[a].slot == slot)
            return true;
    }
    return false;
}

/* Outdated workers before others, then whoever has been longer in the life it is in. */
static bool
goes_first(const struct pf_pool *pool, const struct pf_slot *a, const struct pf_slot *b)
{
    bool a_is_old = pf_pool_is_outdated(pool, a);
    bool b_is_old = pf_pool_is_outdated(pool, b);

    return a_is_old != b_is_old ? a_is_old : a->told.since < b->told.since;
}

/* Only those may be asked for this reason who are meant by it, and were seen to be ready:
 * of the others there is no telling how many the pool can spare. */
static bool
may_be_asked(const struct pf_pool *pool, const struct pf_slot *s, enum pf_reason reason)
{
    return s->kind == PF_KIND_WORKER &&
           (reason != PF_REASON_OUTDATED ||
            (pf_pool_is_outdated(pool, s) && pf_pool_is_ready(s)));
}

/* The worker of this life that is to go first for this reason, and is not in the plan yet;
 * pool->used if there is none. */
static unsigned
first_to_go(const struct pf_plan *plan, const struct pf_pool *pool, enum pf_life life,
            enum pf_reason reason)
{
    unsigned best = pool->used;

    for (unsigned i = 0; i < pool->used; i++) {
        const struct pf_slot *s = &pool->slots[i];
        if (s->life != life || !may_be_asked(pool, s, reason))
            continue;
        if (best < pool->used && !goes_first(pool, s, &pool->slots[best]))
            continue;
        if (!is_planned(plan, i))
            best = i;
    }
    return best;
}

/* Ask up to n workers of this life; how many could not be asked for want of workers. */
static unsigned
ask(struct pf_plan *plan, const struct pf_pool *pool, enum pf_life life, unsigned n,
    enum pf_reason reason, pf_time now)
{
    for (; n > 0; n--) {
        unsigned slot = first_to_go(plan, pool, life, reason);
        if (slot == pool->used ||
            !pf_plan_add(plan, PF_ACTION_ASK, reason, pool, slot, now))
            return n;
    }
    return 0;
}

/* max_servers was lowered below what lives: idle ones go first, then busy ones as they
 * finish. Outdated ones are to go anyway, and may be more until their time has come. */
static void
plan_over_max(struct pf_plan *plan, const struct pf_pool *pool,
              const struct pf_policy *policy, pf_time now)
{
    unsigned staying = pf_pool_serving(pool) - pf_rollover_pending(pool);
    unsigned left = staying > policy->max_servers ? staying - policy->max_servers : 0;

    left = ask(plan, pool, PF_LIFE_IDLE, left, PF_REASON_OVER_MAX, now);
    left = ask(plan, pool, PF_LIFE_BUSY, left, PF_REASON_OVER_MAX, now);
    (void)ask(plan, pool, PF_LIFE_STARTING, left, PF_REASON_OVER_MAX, now);
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
        if (!pf_recycle_is_due(&pool->slots[i]) || is_planned(plan, i))
            continue;
        if (room == 0) {
            plan->want_ready = true;
            return;
        }
        if (!pf_plan_add(plan, PF_ACTION_ASK, PF_REASON_MAX_REQUESTS, pool, i, now))
            return;
        room--;
    }
}

void
pf_leaving_hurry(struct pf_pool *pool, pf_time now)
{
    for (unsigned i = 0; i < pool->used; i++) {
        struct pf_slot *s = &pool->slots[i];
        if (s->kind != PF_KIND_WORKER || s->life != PF_LIFE_DRAINING ||
            s->reason == PF_REASON_OUTDATED || !pf_pool_is_outdated(pool, s))
            continue;
        s->reason = PF_REASON_OUTDATED;
        s->asked = now;
    }
}

/* Workers that never became ready are nobody's loss. */
static void
ask_unready(struct pf_plan *plan, const struct pf_pool *pool, pf_time now)
{
    for (unsigned i = 0; i < pool->used; i++) {
        const struct pf_slot *s = &pool->slots[i];
        if (s->kind == PF_KIND_WORKER && pf_life_serving(s->life) &&
            pf_pool_is_outdated(pool, s) && !pf_pool_is_ready(s) && !is_planned(plan, i) &&
            !pf_plan_add(plan, PF_ACTION_ASK, PF_REASON_OUTDATED, pool, i, now))
            return;
    }
}

/* Who cannot be spared yet waits for a worker that is starting, or for one that leaves. */
static void
plan_rollover(struct pf_plan *plan, const struct pf_pool *pool,
              const struct pf_policy *policy, pf_time now)
{
    bool unready = false;
    unsigned left = pf_rollover_leave(pool, policy, &unready);

    left = ask(plan, pool, PF_LIFE_IDLE, left, PF_REASON_OUTDATED, now);
    (void)ask(plan, pool, PF_LIFE_BUSY, left, PF_REASON_OUTDATED, now);
    if (unready)
        ask_unready(plan, pool, now);
    if (pf_rollover_pending(pool) > 0)
        plan->want_ready = true;
}

/* Workers that a window found superfluous. Those that went busy meanwhile are needed
 * after all, and so the number is forgotten once nobody idle is left. */
static void
plan_surplus(struct pf_plan *plan, struct pf_pool *pool, pf_time now)
{
    unsigned left = ask(plan, pool, PF_LIFE_IDLE, pool->surplus, pool->surplus_reason, now);

    pool->surplus = pf_plan_is_full(plan) ? left : 0;
}

void
pf_leaving_plan(struct pf_plan *plan, struct pf_pool *pool, const struct pf_policy *policy,
                pf_time now)
{
    unsigned before = plan->count;

    pf_size_watch(pool, policy, now);
    plan_over_max(plan, pool, policy, now);
    if (plan->count == before)
        plan_recycling(plan, pool, policy, now);
    if (plan->count == before)
        plan_rollover(plan, pool, policy, now);
    if (plan->count == before)
        plan_surplus(plan, pool, now);
    else if (pool->surplus > 0)
        plan->deadline = now;
    plan->deadline = pf_time_earlier(plan->deadline, pf_size_watch_at(pool, policy));
}
