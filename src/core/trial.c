/* A new generation has to show that it works before the old one gives way.
 *
 * Wanted are `surge` workers that are ready at the same time. One that ends before it was
 * of any use, or says that it cannot do its work, is enough to end the trial: the old
 * program serves, and whoever deployed the new one is to hear of it now and not after a
 * streak of tries. A bad start of the new generation is therefore no bad start of the pool.
 *
 * Nobody of the old generation is asked to leave meanwhile, for whatever reason: those who
 * would be born in their place are of a program that nobody knows yet. What dies is made up
 * for only below the floor of the pool. Load makes nobody be born but those who are tried.
 *
 * Births are not held up by bad starts that were counted before: it may be just those that
 * the new program mends. Where fork(2) is refused they wait, and the deadline goes on. */
#include "core/trial.h"

#include "core/count.h"
#include "core/pool.h"
#include "core/rollover.h"
#include "core/size.h"

static bool
is_new(const struct pf_pool *pool, const struct pf_slot *s)
{
    return s->kind == PF_KIND_WORKER && s->birth > pool->trial.after;
}

void
pf_trial_begin(struct pf_pool *pool, unsigned surge, pf_time deadline)
{
    bool is_replacing = pf_rollover_is_on(pool);

    pool->trial = (struct pf_trial){
        .on = true,
        .after = pool->births,
        .surge = surge > 0 ? surge : 1,
        .size = is_replacing ? pool->rollover.size : pf_pool_serving(pool),
        .deadline = deadline,
    };
    pool->surplus = 0;
}

/* Not more than the pool may have when the old generation is gone. */
static unsigned
wanted(const struct pf_pool *pool, const struct pf_policy *policy)
{
    return pf_count_smaller(pool->trial.surge, policy->max_servers);
}

unsigned
pf_trial_births(const struct pf_pool *pool, const struct pf_policy *policy,
                enum pf_reason *ret_reason)
{
    unsigned serving = pf_pool_serving(pool);
    unsigned floor = pf_size_floor(policy);
    unsigned lacking = serving < floor ? floor - serving : 0;
    unsigned births = wanted(pool, policy);

    for (unsigned i = 0; i < pool->used && births > 0; i++)
        births -= is_new(pool, &pool->slots[i]) && pf_life_serving(pool->slots[i].life);
    if (pool->trial.reason != PF_REASON_NONE)
        births = 0; /* it is over */
    if (births > 0 || lacking > 0)
        *ret_reason = births >= lacking ? PF_REASON_TRIAL : PF_REASON_MIN_SERVERS;
    births = births > lacking ? births : lacking;
    return pf_count_smaller(births, pf_rollover_room(pool, policy));
}

bool
pf_trial_fail(struct pf_pool *pool, const struct pf_slot *s)
{
    if (!pool->trial.on || !is_new(pool, s))
        return false;
    pool->trial.reason = PF_REASON_BAD_START;
    return true;
}

enum pf_trial_verdict
pf_trial_judge(struct pf_pool *pool, const struct pf_policy *policy, pf_time now)
{
    struct pf_trial *t = &pool->trial;
    unsigned ready = 0;

    if (!t->on)
        return PF_TRIAL_UNDECIDED;
    for (unsigned i = 0; i < pool->used; i++)
        ready += is_new(pool, &pool->slots[i]) && pf_pool_is_ready(&pool->slots[i]);
    if (t->reason == PF_REASON_NONE && ready >= wanted(pool, policy))
        return PF_TRIAL_READY;
    if (t->reason == PF_REASON_NONE && now >= t->deadline)
        t->reason = PF_REASON_SLOW_START;
    return t->reason == PF_REASON_NONE ? PF_TRIAL_UNDECIDED : PF_TRIAL_FAILED;
}

/* What the old program did says nothing of the new one, which has shown that it can start.
 */
void
pf_trial_commit(struct pf_pool *pool)
{
    struct pf_trial trial = pool->trial;

    pool->trial = (struct pf_trial){0};
    pool->births_at_failure = trial.after;
    pf_backoff_succeed(&pool->start);
    pf_pool_outdate_range(pool, 0, trial.after);
    pool->rollover.size = trial.size;
    pool->rollover.surge = trial.surge;
}

void
pf_trial_cancel(struct pf_pool *pool)
{
    struct pf_trial trial = pool->trial;

    if (!trial.on)
        return;
    pool->trial = (struct pf_trial){0};
    pf_pool_outdate_range(pool, trial.after, pool->births);
    pool->rollover.size = trial.size;
    pool->rollover.surge = trial.surge;
    pool->births_at_failure = pool->births;
}
