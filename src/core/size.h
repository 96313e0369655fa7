/* How many workers we want: births that are due, and workers that were never needed. */
#ifndef PF_CORE_SIZE_H
#define PF_CORE_SIZE_H

#include "core/policy.h"
#include "core/pool.h"

/* Births due now, at most the room there is (core/rollover.h); *ret_reason says why (set
 * only if there are any). Looks at sizes and load alone: whether a birth may be tried now
 * is core/backoff.h's question. */
unsigned pf_size_births(const struct pf_pool *pool, const struct pf_policy *policy,
                        enum pf_reason *ret_reason);

/* Workers that are wanted whatever the load is. */
unsigned pf_size_floor(const struct pf_policy *policy);

/* Move both low-water windows on and note in pool->surplus how many workers turned out
 * not to be needed. */
void pf_size_watch(struct pf_pool *pool, const struct pf_policy *policy, pf_time now);

/* When the next window ends that could find a surplus; PF_NEVER if none could. */
pf_time pf_size_watch_at(const struct pf_pool *pool, const struct pf_policy *policy);

/* The idle count below which a worker going busy should wake the master; 0: never. */
unsigned pf_size_wake_below(const struct pf_pool *pool, const struct pf_policy *policy);

/* TTIN and TTOU: one more or one less of min_servers and max_servers, within 1 and limit;
 * the spare settings are kept below max_servers. False: already there. */
bool pf_size_step(struct pf_policy *policy, int direction, unsigned limit);

#endif
