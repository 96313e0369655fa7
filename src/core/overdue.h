/* Who missed a deadline: to become ready, to finish a request, to leave when asked as
 * outdated, to die of a signal. */
#ifndef PF_CORE_OVERDUE_H
#define PF_CORE_OVERDUE_H

#include "core/policy.h"
#include "core/pool.h"

/* What should be done about this worker now: PF_STEP_NONE, or the signal's step with its
 * reason. *at is moved forward to the worker's next deadline if that is earlier. */
enum pf_step pf_overdue_step(const struct pf_slot *s, const struct pf_policy *policy,
                             pf_time now, enum pf_reason *ret_reason, pf_time *at);

#endif
