/* The plan: what to do now, and until when to sleep.
 *
 * pf_plan_make() is the whole policy of prefork in one pure call: equal pool, policy and
 * time give an equal plan. It may be called at any time. A plan with actions changes the
 * pool, so its deadline holds only if it has none: whoever carried it out plans again at
 * once. */
#ifndef PF_CORE_PLAN_H
#define PF_CORE_PLAN_H

#include "core/policy.h"
#include "core/pool.h"

enum {
    PF_PLAN_ACTIONS_MAX = 128,
    PF_PLAN_BIRTHS_MAX = 32, /* of these at most: a turn of the loop stays short */
};

/* While nobody is idle and somebody starts, the queue is looked at this often: who starts
 * may take long, or may be too few. */
#define PF_PLAN_LOOK (100 * PF_MILLISECOND)

enum pf_action_kind {
    PF_ACTION_BURY,        /* tell its obituary, free its slot */
    PF_ACTION_CLOSE_DOORS, /* accept no new connection anywhere */
    PF_ACTION_ASK,         /* ask a worker to leave */
    PF_ACTION_TERM,        /* SIGTERM */
    PF_ACTION_KILL,        /* SIGKILL */
    PF_ACTION_BIRTH,       /* fork a worker */
    PF_ACTION_DEQUEUE,     /* fork a dequeue process */
};

struct pf_action {
    enum pf_action_kind kind;
    enum pf_reason reason;
    unsigned slot;  /* of BURY, ASK, TERM, KILL */
    uint64_t birth; /* who was meant: the slot's birth number */
    bool done;      /* set by whoever carries the plan out: it happened */
};

struct pf_plan {
    unsigned count;
    struct pf_action actions[PF_PLAN_ACTIONS_MAX];
    pf_time deadline; /* the next plan is due then at the latest; PF_NEVER: only events */
    unsigned wake_below; /* an idle count below this should wake the master; 0: none */
    bool watch_doors; /* a connection should wake the master: nobody else would take it */
    bool want_ready;  /* a worker that becomes ready should wake the master */
    enum pf_reason news; /* to be told: PF_REASON_FULL, PF_REASON_ROOM or none */
    unsigned busy;       /* of these: workers alive ... */
    unsigned queued;     /* ... and connections waiting */
    bool finished;       /* nothing is left to do: leave the loop */
};

/* For the steps of a plan: one more action. False: no room; the step goes on in the next
 * turn, which comes at once. */
bool pf_plan_add(struct pf_plan *plan, enum pf_action_kind kind, enum pf_reason reason,
                 const struct pf_pool *pool, unsigned slot, pf_time now);
bool pf_plan_is_full(const struct pf_plan *plan);

void pf_plan_make(struct pf_plan *plan, struct pf_pool *pool,
                  const struct pf_policy *policy, pf_time now);

#endif
