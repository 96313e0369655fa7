/* One at a time, from time to time.
 *
 * A dequeue process looks after what workers left to be done: a spool, a queue in a
 * database. check_for_dequeue after the last one was born the next may be, if fewer than
 * max_dequeue live. So a job that takes longer than the interval is not started twice
 * unless max_dequeue says so, its successor does not wait for another interval, and one
 * that always fails is tried once per interval. The first is due one interval after the
 * start, when the pool is there. None is started while a new generation is tried, whose
 * program it would run. */
#include "core/dequeue.h"

pf_time
pf_dequeue_at(const struct pf_pool *pool, const struct pf_policy *policy)
{
    if (policy->max_dequeue == 0 || pf_pool_dequeues(pool) >= policy->max_dequeue ||
        pool->trial.on)
        return PF_NEVER;
    return pf_time_after(pool->last_dequeue, policy->check_for_dequeue);
}

bool
pf_dequeue_is_outdated(const struct pf_pool *pool, const struct pf_slot *s)
{
    return s->kind == PF_KIND_DEQUEUE && pf_life_serving(s->life) &&
           pf_pool_is_outdated(pool, s);
}
