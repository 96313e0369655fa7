/* The ladder down: doors closed, running requests finished, SIGTERM, SIGKILL, leave. */
#ifndef PF_CORE_SHUTDOWN_H
#define PF_CORE_SHUTDOWN_H

#include "core/policy.h"
#include "core/pool.h"

/* A stop was asked for (level PF_STOP_GRACEFUL or PF_STOP_FAST). A stop that is already
 * under way goes at least one level further: the second signal escalates. The trial of a
 * new generation is over without a verdict. */
void pf_shutdown_ask(struct pf_pool *pool, enum pf_stop level, pf_time now);

/* Climb as far as the clock says. */
void pf_shutdown_advance(struct pf_pool *pool, const struct pf_policy *policy, pf_time now);

/* When the present level ends; PF_NEVER while serving. */
pf_time pf_shutdown_at(const struct pf_pool *pool, const struct pf_policy *policy);

/* The master may leave: nobody is left, or nothing more can be done. */
bool pf_shutdown_finished(const struct pf_pool *pool);

#endif
