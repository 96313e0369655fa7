/* All workers: fixed slots, counted by life, and what the master believes of each.
 *
 * This is the master's private table. What workers tell comes in through
 * pf_pool_told(); everything else is what the master did or the kernel said. Storage is
 * handed in by the caller, nothing is allocated here. */
#ifndef PF_CORE_POOL_H
#define PF_CORE_POOL_H

#include "base/time.h"
#include "core/backoff.h"
#include "core/life.h"
#include "core/reason.h"
#include "core/trial.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum pf_step {
    PF_STEP_NONE, /* not signalled */
    PF_STEP_TERM, /* SIGTERM sent */
    PF_STEP_KILL, /* SIGKILL sent */
};

/* What a worker says of itself, copied from its slot on the board. Gossip. */
struct pf_told {
    bool ready;        /* has finished its child_init_hook */
    bool busy;         /* serves a connection */
    bool wants_leave;  /* has accepted about max_requests connections */
    uint64_t requests; /* connections accepted */
    pf_time since;     /* of being busy or idle */
};

/* What the process of a slot was forked for. A dequeue process (core/dequeue.h) lives the
 * same life, but is no part of the pool: it is not counted, has no deadlines of its own,
 * and its end says nothing of the workers. */
enum pf_kind {
    PF_KIND_WORKER,
    PF_KIND_DEQUEUE,
};

struct pf_slot {
    enum pf_life life;
    enum pf_kind kind;
    enum pf_reason reason; /* why it was asked, signalled, or (GONE) how it ended */
    enum pf_step step;     /* STOPPING only */
    bool was_ready;        /* it got further than STARTING */
    bool failed;           /* it said that it cannot do its work */
    bool exempt;           /* ended on purpose of ours: not a bad start */
    bool client_gone;      /* its client has gone, and nothing was done about it yet */
    pid_t pid;
    uint64_t birth; /* number of the birth, from 1: tells this worker from the
                       next one in the slot */
    pf_time born;
    pf_time asked;     /* DRAINING, and STOPPING if it was asked before */
    pf_time signalled; /* STOPPING only */
    pf_time ended;     /* GONE only */
    int wait_status;   /* GONE only */
    struct pf_told told;
};

/* A process that lives already: what another master knew of it. */
struct pf_adopted {
    enum pf_life life; /* one with a process */
    enum pf_kind kind;
    enum pf_reason reason;
    enum pf_step step;
    bool was_ready;
    bool exempt;
    pid_t pid;
    uint64_t birth;
    pf_time born;
    pf_time asked;
    pf_time signalled;
};

/* The lowest number of idle workers in a stretch of time: how many were never needed. */
struct pf_low_water {
    pf_time started;
    unsigned lowest;
};

/* All are busy at max_servers: what core/full.h remembers of it. */
struct pf_full {
    bool watched;     /* nobody was idle lately: looked at by the clock */
    pf_time short_at; /* when that was seen last */
    pf_time since; /* every look from here on found connections waiting; PF_NEVER: none */
    pf_time told;  /* PF_NEVER: not since it began */
};

/* Outdated workers make room for others (core/rollover.h). */
struct pf_rollover {
    unsigned size;  /* of the pool, which is kept */
    unsigned surge; /* workers above it at most; at least 1 while somebody is outdated */
    unsigned alive; /* workers that are outdated */
};

/* How far the end has come. Each level includes those before it. */
enum pf_stop {
    PF_STOP_NONE,     /* serving */
    PF_STOP_GRACEFUL, /* doors closed, running requests have graceful_timeout */
    PF_STOP_FAST,     /* the same with stop_timeout */
    PF_STOP_TERM,     /* SIGTERM to whoever is left */
    PF_STOP_KILL,     /* SIGKILL */
    PF_STOP_GIVE_UP,  /* even that did not end it: leave without */
};

struct pf_pool {
    struct pf_slot *slots;
    unsigned capacity;                   /* slots handed in */
    unsigned used;                       /* no slot at or above this index was ever used */
    unsigned count[PF_LIFE_COUNT_OF];    /* vacant slots, and workers by life */
    unsigned dequeues[PF_LIFE_COUNT_OF]; /* dequeue processes by life */
    unsigned vacant_from;                /* no slot below this index is vacant */
    uint64_t births;                     /* so far */
    uint64_t births_at_failure;          /* births when the last bad start was counted */
    uint64_t outdated_after;             /* births after this number ... */
    uint64_t outdated;                   /* ... up to this one are to be replaced */
    struct pf_rollover rollover;         /* how they are */
    struct pf_trial trial;               /* of a new generation */
    uint64_t requests_buried;            /* accepted by workers that are gone */
    uint32_t random;                     /* state of the jitter's generator */

    pf_time last_birth;       /* of a worker */
    pf_time last_dequeue;     /* birth of a dequeue process, or the beginning */
    bool only_requests_prove; /* living for a while does not end a streak */
    struct pf_backoff start;  /* births that came to nothing */
    struct pf_backoff fork;   /* fork(2) refused */

    struct pf_low_water waiting;   /* window of check_for_waiting */
    struct pf_low_water quiet;     /* window of spare_timeout */
    unsigned surplus;              /* still to be asked to leave ... */
    enum pf_reason surplus_reason; /* ... for this reason */

    struct pf_full full;
    bool no_queue; /* workers have no sockets of ours: nobody knows who waits */

    enum pf_stop stop;
    pf_time stop_since; /* of the present level */
    bool doors_closed;

    /* Facts of this turn; the master sets them before a plan is made. */
    unsigned queued;      /* connections waiting in the kernel */
    unsigned idle_lowest; /* lowest idle count since the last turn; UINT_MAX: no change */
};

/* All slots vacant. slots (capacity of them) is borrowed until the pool is not used any
 * more. seed: any number; equal seeds give equal jitter. */
void pf_pool_init(struct pf_pool *pool, struct pf_slot *slots, unsigned capacity,
                  uint32_t seed, pf_time now);

/* The lowest vacant slot; capacity if there is none. */
unsigned pf_pool_vacant(const struct pf_pool *pool);

/* A process was forked into a vacant slot. */
void pf_pool_born(struct pf_pool *pool, unsigned slot, enum pf_kind kind, pid_t pid,
                  pf_time now);

/* fork(2), or something it needs, was refused. */
void pf_pool_fork_failed(struct pf_pool *pool, pf_time now);

/* What the worker in this slot says. Believed as far as core/life.h allows. */
void pf_pool_told(struct pf_pool *pool, unsigned slot, const struct pf_told *told);

/* The worker was asked to leave / was sent a signal for this reason. */
void pf_pool_asked(struct pf_pool *pool, unsigned slot, enum pf_reason reason, pf_time now);
void pf_pool_signalled(struct pf_pool *pool, unsigned slot, enum pf_step step,
                       enum pf_reason reason, pf_time now);

/* The worker said that it cannot do its work, and will end: a bad start, whatever it did
 * before. */
void pf_pool_failed(struct pf_pool *pool, unsigned slot);

/* It was born by another master, so how it ended cannot be known: it is not judged. */
void pf_pool_excuse(struct pf_pool *pool, unsigned slot);

/* The client of the connection that the worker serves, by what it told last, has gone. The
 * pool forgets that when the worker tells that the connection is over. */
void pf_pool_client_gone(struct pf_pool *pool, unsigned slot);

/* The worker was reaped; judges how it ended, which may slow births down. */
void pf_pool_died(struct pf_pool *pool, unsigned slot, int wait_status, pf_time now);

/* Its obituary was told: the slot is vacant again. */
void pf_pool_buried(struct pf_pool *pool, unsigned slot);

/* A process that was another master's is in this vacant slot now, whichever it is. Births
 * go on with the number behind it, or a higher one if the caller sets pool->births. What
 * the process says of itself is not known before pf_pool_told(). */
void pf_pool_adopt(struct pf_pool *pool, unsigned slot, const struct pf_adopted *adopted);

/* It is of a generation that is to be replaced (core/rollover.h). */
bool pf_pool_is_outdated(const struct pf_pool *pool, const struct pf_slot *s);

/* It can take a connection, or has one. */
bool pf_pool_is_ready(const struct pf_slot *s);

/* End the streak of bad starts if a worker born after it has proven itself; and when the
 * next one will have, by living long enough, or a killed one is waited for no longer
 * (PF_NEVER: none, or no streak). */
void pf_pool_forgive(struct pf_pool *pool, pf_time now);
pf_time pf_pool_forgive_at(const struct pf_pool *pool, pf_time now);

/* A worker that could end the streak, or be its next failure, has not had its chance. */
bool pf_pool_is_probing(const struct pf_pool *pool, pf_time now);

/* Workers alive; serving; connections accepted by all workers there ever were. */
unsigned pf_pool_alive(const struct pf_pool *pool);
unsigned pf_pool_dequeues(const struct pf_pool *pool); /* dequeue processes alive */
unsigned pf_pool_serving(const struct pf_pool *pool);
uint64_t pf_pool_requests(const struct pf_pool *pool);

/* The next 32 bits of jitter. */
uint32_t pf_pool_random(struct pf_pool *pool);

#endif
