/* Workers that are asked to leave while the server goes on. */
#ifndef PF_CORE_LEAVING_H
#define PF_CORE_LEAVING_H

#include "core/plan.h"

/* Add them to the plan, in which births stand already; and when to look again. */
void pf_leaving_plan(struct pf_plan *plan, struct pf_pool *pool,
                     const struct pf_policy *policy, pf_time now);

/* Whoever was on its way out for another reason when its generation became outdated leaves
 * as the others of it do, from now on. */
void pf_leaving_hurry(struct pf_pool *pool, pf_time now);

#endif
