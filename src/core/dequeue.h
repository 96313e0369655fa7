/* Dequeue processes: when the next one is due, and which of them are outdated. */
#ifndef PF_CORE_DEQUEUE_H
#define PF_CORE_DEQUEUE_H

#include "core/policy.h"
#include "core/pool.h"

#include <stdbool.h>

/* From when on the next one is due; PF_NEVER: not while things are as they are. */
pf_time pf_dequeue_at(const struct pf_pool *pool, const struct pf_policy *policy);

/* A dequeue process from before a restart of the workers that nobody has asked to leave. */
bool pf_dequeue_is_outdated(const struct pf_pool *pool, const struct pf_slot *s);

#endif
