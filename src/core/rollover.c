/* New workers first, then the old ones.
 *
 * A pool is replaced at the size it has: while outdated workers serve, others are born
 * until as many as that are not outdated, and at no time does it have more than `surge`
 * above its size, counting those that were asked and have not left yet. An outdated worker
 * is asked as soon as as many workers are ready without it: so load never meets a smaller
 * pool than before, and a new program whose workers take long to start takes nobody's place
 * meanwhile.
 *
 * Only one that is busy for long holds up the others, and only until its graceful_timeout
 * is over. Where it has all the time it wants (leave_children_open) it is not counted any
 * more, nor is one that not even SIGKILL ended: above them is only the ceiling.
 *
 * The ceiling is max_servers for those that are not outdated, and max_servers and the surge
 * for all together. It is back at max_servers when the last outdated one is gone.
 *
 * The size follows the sizing: it is never below its floor nor above max_servers, and what
 * turns out as surplus meanwhile is not replaced (pf_pool_asked()). A pool that grows keeps
 * what it needs by the rules of core/size.h.
 *
 * While births fail nobody is asked: what lives is what there is. */
#include "core/rollover.h"

#include "core/count.h"
#include "core/recycle.h"
#include "core/size.h"

bool
pf_pool_is_outdated(const struct pf_pool *pool, const struct pf_slot *s)
{
    return s->birth > pool->outdated_after && s->birth <= pool->outdated;
}

bool
pf_rollover_is_on(const struct pf_pool *pool)
{
    return pool->rollover.alive > 0;
}

struct tally {
    unsigned older; /* serving, of a generation before the outdated one */
    unsigned old;   /* serving and outdated */
    unsigned alive; /* outdated */
    unsigned ready; /* of all */
};

static struct tally
count(const struct pf_pool *pool)
{
    struct tally t = {0};

    for (unsigned i = 0; i < pool->used; i++) {
        const struct pf_slot *s = &pool->slots[i];
        bool serving = pf_life_serving(s->life);
        bool outdated = pf_pool_is_outdated(pool, s);
        if (s->kind != PF_KIND_WORKER || !pf_life_alive(s->life))
            continue;
        t.older += serving && s->birth <= pool->outdated_after;
        t.old += serving && outdated;
        t.alive += outdated;
        t.ready += pf_pool_is_ready(s);
    }
    return t;
}

/* Outdated workers that were asked or signalled and are expected to be gone some time. */
static unsigned
count_leaving(const struct pf_pool *pool, const struct pf_policy *policy)
{
    unsigned n = 0;

    for (unsigned i = 0; i < pool->used; i++) {
        const struct pf_slot *s = &pool->slots[i];
        if (s->kind != PF_KIND_WORKER || !pf_pool_is_outdated(pool, s))
            continue;
        n += s->life == PF_LIFE_DRAINING && !policy->leave_children_open;
        n += s->life == PF_LIFE_STOPPING && s->step != PF_STEP_KILL;
    }
    return n;
}

/* A pool that is being replaced already may have the surge too many, or have grown. */
static unsigned
size_now(const struct pf_pool *pool, bool is_on)
{
    unsigned serving = pf_pool_serving(pool);

    return is_on ? pf_count_larger(pool->rollover.size,
                                   pf_count_above(serving, pool->rollover.surge))
                 : serving;
}

void
pf_pool_outdate(struct pf_pool *pool)
{
    pf_pool_outdate_range(pool, 0, pool->births);
}

/* Between two ranges there may be a generation that is to stay. Those of the older range
 * that were all asked need nobody to remember them. */
static bool
has_to_merge(const struct pf_pool *pool, uint64_t after)
{
    return pf_rollover_is_on(pool) &&
           (after < pool->outdated || pf_rollover_pending(pool) > 0);
}

void
pf_pool_outdate_range(struct pf_pool *pool, uint64_t after, uint64_t last)
{
    bool is_on = pf_rollover_is_on(pool);
    bool merges = has_to_merge(pool, after);
    struct tally t;

    pool->rollover.size = size_now(pool, is_on);
    if (!is_on)
        pool->rollover.surge = 1;
    pool->outdated_after =
        merges && pool->outdated_after < after ? pool->outdated_after : after;
    pool->outdated = merges && pool->outdated > last ? pool->outdated : last;
    t = count(pool);
    pool->rollover.alive = t.alive;
    if (t.older == 0)
        return;
    pool->rollover.size = t.older;
    pool->births_at_failure = pool->outdated; /* their ends say nothing of the older ones */
}

unsigned
pf_rollover_pending(const struct pf_pool *pool)
{
    return pf_rollover_is_on(pool) ? count(pool).old : 0;
}

unsigned
pf_rollover_room(const struct pf_pool *pool, const struct pf_policy *policy)
{
    unsigned alive = pf_pool_alive(pool);
    unsigned fresh = alive - pool->rollover.alive;
    unsigned most = policy->max_servers;
    unsigned room;

    if (pool->trial.on) /* also where the new program wants fewer than there are */
        most = pf_count_larger(most, pool->trial.max_before);
    if (pf_rollover_is_on(pool))
        most += pool->rollover.surge;
    if (pool->trial.on)
        room = pf_count_above(most + pool->trial.surge, alive);
    else
        room = pf_count_smaller(pf_count_above(policy->max_servers, fresh),
                                pf_count_above(most, alive));
    return pf_count_smaller(room, pool->count[PF_LIFE_VACANT]);
}

static unsigned
size_of(const struct pf_pool *pool, const struct pf_policy *policy)
{
    return pf_count_larger(pf_size_floor(policy),
                           pf_count_smaller(pool->rollover.size, policy->max_servers));
}

unsigned
pf_rollover_births(const struct pf_pool *pool, const struct pf_policy *policy)
{
    unsigned size = size_of(pool, policy);
    unsigned serving = pf_pool_serving(pool);
    unsigned old = pf_rollover_pending(pool);
    unsigned lacking;
    unsigned unused;

    if (old == 0)
        return 0;
    lacking = pf_count_above(size, serving - old);
    unused =
        pf_count_above(size + pool->rollover.surge, serving + count_leaving(pool, policy));
    return pf_count_smaller(pf_count_smaller(lacking, unused),
                            pf_rollover_room(pool, policy));
}

unsigned
pf_rollover_leave(const struct pf_pool *pool, const struct pf_policy *policy,
                  bool *ret_unready)
{
    unsigned size = size_of(pool, policy);
    unsigned ready;

    *ret_unready = false;
    if (!pf_rollover_is_on(pool) || pf_recycle_is_barred(pool))
        return 0;
    ready = count(pool).ready;
    *ret_unready = ready >= size;
    return pf_count_above(ready, size);
}
