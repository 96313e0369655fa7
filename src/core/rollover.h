/* Replacing a generation: new workers first, then the old ones.
 *
 * Generations are birth numbers: a worker is outdated if its number is in the range
 * outdated_after < birth <= outdated of the pool. */
#ifndef PF_CORE_ROLLOVER_H
#define PF_CORE_ROLLOVER_H

#include "core/policy.h"
#include "core/pool.h"

#include <stdbool.h>
#include <stdint.h>

/* Everybody who lives now is to be replaced, one at a time. */
void pf_pool_outdate(struct pf_pool *pool);

/* The same for births after one number up to another. While somebody of an older range was
 * not asked to leave yet, the two become one that holds both. Above an older generation
 * that goes on (after > 0) the size that is kept is that one's: those in the range failed,
 * and nobody takes their place. */
void pf_pool_outdate_range(struct pf_pool *pool, uint64_t after, uint64_t last);

/* An outdated worker lives, serving or on its way out. */
bool pf_rollover_is_on(const struct pf_pool *pool);

/* Outdated workers that serve and that nobody has asked to leave. */
unsigned pf_rollover_pending(const struct pf_pool *pool);

/* Workers that may be born now without more than max_servers living, or, while generations
 * change, more than that and the surge; at most the slots there are. */
unsigned pf_rollover_room(const struct pf_pool *pool, const struct pf_policy *policy);

/* Births that replacing wants now. */
unsigned pf_rollover_births(const struct pf_pool *pool, const struct pf_policy *policy);

/* Outdated workers that are ready and can be asked to leave now; *ret_unready: and so can
 * all of them that are not ready. */
unsigned pf_rollover_leave(const struct pf_pool *pool, const struct pf_policy *policy,
                           bool *ret_unready);

#endif
