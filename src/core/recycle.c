/* Replacing workers that served their share, a few at a time.
 *
 * A worker that has accepted nearly max_requests connections says so and goes on serving
 * until it is asked to leave (or its hard limit is reached: then it waits, without
 * accepting). The master lets at most max_recycling of them go at once, and counts
 * workers that are starting against the same number: a pool whose workers take long to
 * start does not lose its warm ones faster than new ones become ready.
 *
 * While births fail nobody is replaced: what lives is what there is. */
#include "core/recycle.h"

bool
pf_recycle_is_barred(const struct pf_pool *pool)
{
    return pf_backoff_cautious(&pool->start) || pool->fork.streak > 0;
}

unsigned
pf_recycle_room(const struct pf_pool *pool, const struct pf_policy *policy, unsigned births)
{
    unsigned under_way = pool->count[PF_LIFE_STARTING] + births;

    if (pf_recycle_is_barred(pool))
        return 0;
    for (unsigned i = 0; i < pool->used; i++) {
        const struct pf_slot *s = &pool->slots[i];
        if (s->kind == PF_KIND_WORKER && s->life == PF_LIFE_DRAINING &&
            s->reason == PF_REASON_MAX_REQUESTS)
            under_way++;
    }
    return under_way < policy->max_recycling ? policy->max_recycling - under_way : 0;
}

bool
pf_recycle_is_due(const struct pf_slot *s)
{
    return s->kind == PF_KIND_WORKER && s->told.wants_leave &&
           (s->life == PF_LIFE_IDLE || s->life == PF_LIFE_BUSY);
}
