/* The ladder down, as levels with a length each.
 *
 *   GRACEFUL  graceful_timeout   asked to leave; running requests go on
 *   FAST      stop_timeout       the same, in a hurry
 *   TERM      kill_timeout       SIGTERM
 *   KILL      kill_timeout       SIGKILL
 *   GIVE_UP                      a process that not even SIGKILL ended (it waits for a
 *                                broken disk, say) does not keep the master
 *
 * GRACEFUL goes on to TERM, not to FAST: it had its time. After one signal the end is
 * therefore reached within graceful_timeout (or stop_timeout) + 2 * kill_timeout. A further
 * signal starts the level it leads to anew: QUIT and, at the last moment, TERM add a
 * stop_timeout. */
#include "core/shutdown.h"

static void
climb_to(struct pf_pool *pool, enum pf_stop level, pf_time now)
{
    pool->stop = level;
    pool->stop_since = now;
}

void
pf_shutdown_ask(struct pf_pool *pool, enum pf_stop level, pf_time now)
{
    if (pool->stop >= PF_STOP_KILL)
        return;
    if (level <= pool->stop)
        level = pool->stop + 1;
    pool->trial = (struct pf_trial){0};
    climb_to(pool, level, now);
}

static pf_time
length_of(enum pf_stop level, const struct pf_policy *policy)
{
    switch (level) {
    case PF_STOP_GRACEFUL: return policy->graceful_timeout;
    case PF_STOP_FAST: return policy->stop_timeout;
    case PF_STOP_TERM:
    case PF_STOP_KILL: return policy->kill_timeout;
    case PF_STOP_NONE:
    case PF_STOP_GIVE_UP: break;
    }
    return PF_NEVER;
}

pf_time
pf_shutdown_at(const struct pf_pool *pool, const struct pf_policy *policy)
{
    return pf_time_after(pool->stop_since, length_of(pool->stop, policy));
}

void
pf_shutdown_advance(struct pf_pool *pool, const struct pf_policy *policy, pf_time now)
{
    while (now >= pf_shutdown_at(pool, policy))
        climb_to(pool, pool->stop < PF_STOP_TERM ? PF_STOP_TERM : pool->stop + 1, now);
}

bool
pf_shutdown_finished(const struct pf_pool *pool)
{
    return pool->stop == PF_STOP_GIVE_UP ||
           (pool->stop != PF_STOP_NONE && pool->count[PF_LIFE_VACANT] == pool->capacity);
}
