/* The calls that the linker leads through the watch (-Wl,--wrap): the real one is
 * __real_NAME, the master calls __wrap_NAME. */
#ifndef PF_SIM_WATCH_H
#define PF_SIM_WATCH_H

#include "sim.h"

/* NOLINTBEGIN: the names are the linker's */
void __real_pf_plan_make(struct pf_plan *plan, struct pf_pool *pool,
                         const struct pf_policy *policy, pf_time now);
void __wrap_pf_plan_make(struct pf_plan *plan, struct pf_pool *pool,
                         const struct pf_policy *policy, pf_time now);
void __real_pf_master_act(struct pf_master *m, const struct pf_plan *plan);
void __wrap_pf_master_act(struct pf_master *m, const struct pf_plan *plan);
void __real_pf_board_audit(struct pf_board *b, unsigned used);
void __wrap_pf_board_audit(struct pf_board *b, unsigned used);
bool __real_pf_board_arm(struct pf_board *b, uint32_t wake_below, bool want_ready);
bool __wrap_pf_board_arm(struct pf_board *b, uint32_t wake_below, bool want_ready);
void __real_pf_pool_signalled(struct pf_pool *pool, unsigned slot, enum pf_step step,
                              enum pf_reason reason, pf_time now);
void __wrap_pf_pool_signalled(struct pf_pool *pool, unsigned slot, enum pf_step step,
                              enum pf_reason reason, pf_time now);
void __real_pf_pool_died(struct pf_pool *pool, unsigned slot, int wait_status, pf_time now);
void __wrap_pf_pool_died(struct pf_pool *pool, unsigned slot, int wait_status, pf_time now);
/* NOLINTEND */

#endif
