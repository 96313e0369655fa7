/* Is max_servers too few, and is it time to say so? */
#ifndef PF_CORE_FULL_H
#define PF_CORE_FULL_H

#include "core/policy.h"
#include "core/pool.h"

/* Wait so long until the pool is looked at again: it is called full if it is twice. */
#define PF_FULL_LOOK PF_SECOND
/* A pool that stays full is told again after so long. */
#define PF_FULL_REPEAT (60 * PF_SECOND)
/* It is full no more when somebody was idle all the time for so long. */
#define PF_FULL_CALM (5 * PF_SECOND)

/* Some are busy, nobody is idle, and nobody may be born: how many connections wait is worth
 * a question now. */
bool pf_full_is(const struct pf_pool *pool, const struct pf_policy *policy);

/* Note what the pool looks like. What is to be told: PF_REASON_FULL, PF_REASON_ROOM (it was
 * told to be full and is so no more), or PF_REASON_NONE. */
enum pf_reason pf_full_watch(struct pf_pool *pool, const struct pf_policy *policy,
                             pf_time now);

/* When to look again; PF_NEVER: when a worker rings. */
pf_time pf_full_watch_at(const struct pf_pool *pool, pf_time now);

/* The idle count below which a worker should wake the master for this; 0: never. */
unsigned pf_full_wake_below(const struct pf_pool *pool, const struct pf_policy *policy);

#endif
