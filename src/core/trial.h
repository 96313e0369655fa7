/* The trial of a new generation: is the new program any good?
 *
 * While it lasts, what is born is of the new generation, beside the old one, of which
 * nobody is asked to leave. Then one of the two is outdated (core/rollover.h): the old one
 * by pf_trial_commit(), the new one by pf_trial_cancel(). */
#ifndef PF_CORE_TRIAL_H
#define PF_CORE_TRIAL_H

#include "base/time.h"
#include "core/policy.h"
#include "core/reason.h"

#include <stdbool.h>
#include <stdint.h>

struct pf_pool;
struct pf_slot;

enum pf_trial_verdict {
    PF_TRIAL_UNDECIDED,
    PF_TRIAL_READY,  /* as many as were wanted are ready */
    PF_TRIAL_FAILED, /* pool->trial.reason says why */
};

struct pf_trial {
    bool on;
    uint64_t after;        /* births after this number are the new generation */
    unsigned surge;        /* of them are wanted */
    unsigned size;         /* of the pool when it began */
    unsigned max_before;   /* max_servers of the old program, if it had more (set by the
                              caller after the beginning) */
    pf_time deadline;      /* they are to be ready by then; PF_NEVER: some time */
    enum pf_reason reason; /* why it failed; PF_REASON_NONE: it has not */
};

/* From the next birth on there is a new generation, of which surge workers (0 is taken
 * as 1) are to be ready by the deadline. */
void pf_trial_begin(struct pf_pool *pool, unsigned surge, pf_time deadline);

/* Births that the trial wants now, and why (set only if there are any). */
unsigned pf_trial_births(const struct pf_pool *pool, const struct pf_policy *policy,
                         enum pf_reason *ret_reason);

/* This worker had a bad start. If it is of the new generation that is the end of the trial,
 * and true: no reason to slow births down. */
bool pf_trial_fail(struct pf_pool *pool, const struct pf_slot *s);

/* How it stands. FAILED once is FAILED for good. */
enum pf_trial_verdict pf_trial_judge(struct pf_pool *pool, const struct pf_policy *policy,
                                     pf_time now);

/* The new generation it is: the old one is replaced, with the surge of the trial. */
void pf_trial_commit(struct pf_pool *pool);

/* The old generation it is: whoever lives of the new one is to leave. Without a trial
 * nothing happens. */
void pf_trial_cancel(struct pf_pool *pool);

#endif
