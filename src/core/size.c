/* How many workers we want.
 *
 * Growth follows load, not time. Wanted are min_servers workers, and so many idle ones
 * that those waiting in the kernel's queue are served and min_spare_servers are left.
 * Workers that are starting count as idle: they will be. If the idle count dipped below
 * min_spare_servers since the last look but has recovered, one more is wanted: then the
 * next dip of that depth wakes nobody, and a steady load leads to a steady size.
 *
 * Shrinking follows the low-water mark. The lowest idle count of a window is the number
 * of workers that were not needed in it, whichever they were; exactly so many can go.
 * Two windows ask two questions: more than max_spare_servers never needed for
 * check_for_waiting, and more than min_spare_servers never needed for spare_timeout. A
 * window in which the pool grew contains the low count that made it grow, so growing and
 * shrinking cannot chase each other within one window.
 *
 * A pool on demand keeps one spare while it has workers at all, and gives up the last
 * ones only after a quiet window in which not one of them was needed. */
#include "core/size.h"

#include "core/count.h"
#include "core/rollover.h"

unsigned
pf_size_floor(const struct pf_policy *policy)
{
    switch (policy->sizing) {
    case PF_SIZING_STATIC: return policy->max_servers;
    case PF_SIZING_DYNAMIC: return policy->min_servers;
    case PF_SIZING_ONDEMAND: break;
    }
    return 0;
}

/* Idle workers to keep ready. */
static unsigned
spare_target(const struct pf_pool *pool, const struct pf_policy *policy)
{
    switch (policy->sizing) {
    case PF_SIZING_STATIC: return 0;
    case PF_SIZING_DYNAMIC: return policy->min_spare_servers;
    case PF_SIZING_ONDEMAND: break;
    }
    return pf_pool_serving(pool) > 0 ? 1 : 0;
}

/* Idle workers tolerated: never fewer than are kept ready. */
static unsigned
spare_limit(const struct pf_pool *pool, const struct pf_policy *policy)
{
    unsigned kept = spare_target(pool, policy);

    return policy->max_spare_servers > kept ? policy->max_spare_servers : kept;
}

static unsigned
births_for_load(const struct pf_pool *pool, const struct pf_policy *policy,
                enum pf_reason *ret_reason)
{
    unsigned ready = pool->count[PF_LIFE_IDLE] + pool->count[PF_LIFE_STARTING];
    unsigned spare = spare_target(pool, policy);
    unsigned wanted = pf_count_above(spare + pool->queued, ready);

    if (wanted == 0 && pool->idle_lowest < spare && pool->count[PF_LIFE_STARTING] == 0)
        wanted = 1;
    if (wanted > 0)
        *ret_reason = pool->queued > 0 ? PF_REASON_QUEUE : PF_REASON_SPARE;
    return wanted;
}

unsigned
pf_size_births(const struct pf_pool *pool, const struct pf_policy *policy,
               enum pf_reason *ret_reason)
{
    unsigned wanted = pf_count_above(pf_size_floor(policy), pf_pool_serving(pool));
    enum pf_reason reason = PF_REASON_MIN_SERVERS;

    if (policy->sizing != PF_SIZING_STATIC) {
        enum pf_reason load_reason = PF_REASON_SPARE;
        unsigned for_load = births_for_load(pool, policy, &load_reason);
        if (for_load > wanted) {
            wanted = for_load;
            reason = load_reason;
        }
    }
    wanted = pf_count_smaller(wanted, pf_rollover_room(pool, policy));
    if (wanted > 0)
        *ret_reason = reason;
    return wanted;
}

static void
sample(struct pf_low_water *w, unsigned idle)
{
    w->lowest = pf_count_smaller(w->lowest, idle);
}

static void
restart(struct pf_low_water *w, unsigned idle, pf_time now)
{
    *w = (struct pf_low_water){.started = now, .lowest = idle};
}

/* Workers above the floor that could be given up at all. */
static unsigned
above_floor(const struct pf_pool *pool, const struct pf_policy *policy)
{
    return pf_count_above(pf_pool_serving(pool), pf_size_floor(policy));
}

static void
note_surplus(struct pf_pool *pool, const struct pf_policy *policy, unsigned surplus,
             enum pf_reason reason)
{
    surplus = pf_count_smaller(surplus, above_floor(pool, policy));
    if (surplus > pool->surplus) {
        pool->surplus = surplus;
        pool->surplus_reason = reason;
    }
}

/* Idle workers to keep after a quiet window. A pool on demand that was not used at all
 * keeps none. */
static unsigned
keep_after_quiet(const struct pf_pool *pool, const struct pf_policy *policy)
{
    bool unused = pool->quiet.lowest >= pf_pool_serving(pool);

    if (policy->sizing == PF_SIZING_ONDEMAND && unused)
        return 0;
    return spare_target(pool, policy);
}

void
pf_size_watch(struct pf_pool *pool, const struct pf_policy *policy, pf_time now)
{
    unsigned idle = pool->count[PF_LIFE_IDLE];
    unsigned lowest = pf_count_smaller(idle, pool->idle_lowest);

    sample(&pool->waiting, lowest);
    sample(&pool->quiet, lowest);
    /* What is left of an older window: others may have left since. */
    pool->surplus = pf_count_smaller(pool->surplus, above_floor(pool, policy));
    if (now < pf_time_after(pool->last_birth, policy->min_child_ttl))
        return; /* too young to judge: the windows go on */
    if (now >= pf_time_after(pool->waiting.started, policy->check_for_waiting)) {
        note_surplus(pool, policy,
                     pf_count_above(pool->waiting.lowest, spare_limit(pool, policy)),
                     PF_REASON_MAX_SPARE);
        restart(&pool->waiting, idle, now);
    }
    if (now >= pf_time_after(pool->quiet.started, policy->spare_timeout)) {
        note_surplus(pool, policy,
                     pf_count_above(pool->quiet.lowest, keep_after_quiet(pool, policy)),
                     PF_REASON_QUIET);
        restart(&pool->quiet, idle, now);
    }
}

pf_time
pf_size_watch_at(const struct pf_pool *pool, const struct pf_policy *policy)
{
    pf_time at =
        pf_time_earlier(pf_time_after(pool->waiting.started, policy->check_for_waiting),
                        pf_time_after(pool->quiet.started, policy->spare_timeout));
    pf_time ripe = pf_time_after(pool->last_birth, policy->min_child_ttl);

    if (policy->sizing == PF_SIZING_STATIC || above_floor(pool, policy) == 0)
        return PF_NEVER;
    return at < ripe ? ripe : at;
}

unsigned
pf_size_wake_below(const struct pf_pool *pool, const struct pf_policy *policy)
{
    unsigned spare = spare_target(pool, policy);

    if (policy->sizing == PF_SIZING_STATIC || pool->trial.on ||
        pf_rollover_room(pool, policy) == 0)
        return 0;
    return spare > 0 ? spare : 1;
}

bool
pf_size_step(struct pf_policy *policy, int direction, unsigned limit)
{
    if (policy->single)
        return false;
    if (direction > 0 ? policy->max_servers >= limit : policy->max_servers <= 1)
        return false;
    policy->max_servers = direction > 0 ? policy->max_servers + 1 : policy->max_servers - 1;
    if (direction > 0 && policy->sizing != PF_SIZING_ONDEMAND)
        policy->min_servers++;
    else if (policy->min_servers > 1)
        policy->min_servers--;
    policy->min_servers = pf_count_smaller(policy->min_servers, policy->max_servers);
    policy->max_spare_servers =
        pf_count_smaller(policy->max_spare_servers, policy->max_servers);
    policy->min_spare_servers =
        pf_count_smaller(policy->min_spare_servers, policy->max_spare_servers);
    return true;
}
