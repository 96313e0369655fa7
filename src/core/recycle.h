/* Who is replaced next: workers that served their share, and outdated ones. */
#ifndef PF_CORE_RECYCLE_H
#define PF_CORE_RECYCLE_H

#include "core/policy.h"
#include "core/pool.h"

/* How many more workers may be asked to leave now without more than max_recycling being
 * on their way out or in at once. births: those this plan has decided on. */
unsigned pf_recycle_room(const struct pf_pool *pool, const struct pf_policy *policy,
                         unsigned births);

/* Should this worker be replaced? The reason, or PF_REASON_NONE. */
enum pf_reason pf_recycle_reason(const struct pf_pool *pool, const struct pf_slot *s);

#endif
