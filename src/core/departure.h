/* What is done about a worker whose client has gone. */
#ifndef PF_CORE_DEPARTURE_H
#define PF_CORE_DEPARTURE_H

#include "core/policy.h"
#include "core/pool.h"

/* PF_STEP_NONE, or the signal's step. The caller who acts on it ends the fact
 * (s->client_gone). */
enum pf_step pf_departure_step(const struct pf_slot *s, const struct pf_policy *policy);

#endif
