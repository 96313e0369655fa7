/* Who is replaced next of those that served their share. */
#ifndef PF_CORE_RECYCLE_H
#define PF_CORE_RECYCLE_H

#include "core/policy.h"
#include "core/pool.h"

#include <stdbool.h>

/* Births fail: nobody is replaced, for whatever reason. */
bool pf_recycle_is_barred(const struct pf_pool *pool);

/* How many more workers may be asked to leave now without more than max_recycling being
 * on their way out or in at once. births: those this plan has decided on. */
unsigned pf_recycle_room(const struct pf_pool *pool, const struct pf_policy *policy,
                         unsigned births);

/* Should this worker be replaced? */
bool pf_recycle_is_due(const struct pf_slot *s);

#endif
