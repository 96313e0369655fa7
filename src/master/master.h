/* The master: one loop, and the struct that holds all it knows.
 *
 * It never serves a client, never sleeps but in pf_master_collect(), and after
 * pf_master_open() never ends but by a finished plan: what fails from there on is a fact
 * for the next plan. */
#ifndef PF_MASTER_MASTER_H
#define PF_MASTER_MASTER_H

#include "base/attr.h"
#include "base/error.h"
#include "core/plan.h"
#include "link/board.h"
#include "net/listener.h"
#include "os/process.h"
#include "os/wait.h"
#include "worker/recipe.h"

#include <stdbool.h>

/* What the master needs of the kernel for one worker. Its slot in the pool has the same
 * index. */
struct pf_child {
    struct pf_process process;
    int channel;       /* the master's end; -1: none, or the worker closed its end */
    uint32_t log_mark; /* of the log's sink that it has, or has been sent */
};

/* Things that last as long as the master and are made before it. All borrowed. */
struct pf_master_setup {
    const struct pf_recipe *recipe;
    const struct pf_policy *policy; /* copied: TTIN and TTOU change the copy */
    struct pf_listeners *listeners;
    unsigned seed; /* of the jitter */
    /* The first worker is ready (or none is wanted yet): called once. May be NULL. */
    void (*on_ready)(void *context);
    /* The first workers all failed: the server cannot start. True: give up. May be NULL. */
    bool (*on_bad_start)(void *context);
    /* In a new worker, the last that is done with the master: close what the starting
     * process holds, drop its memory, the master's struct included. May be NULL. */
    void (*on_fork)(void *context);
    void *context;
};

struct pf_master {
    struct pf_master_setup setup;
    struct pf_policy policy;
    struct pf_pool pool;
    struct pf_slot *slots;
    struct pf_child *children;
    unsigned capacity;   /* of both tables */
    struct pf_plan plan; /* of this turn: not on the stack, of which children keep a copy */
    struct pf_board board;
    struct pf_wait wait;
    int signals;          /* signalfd */
    int wake;             /* the bell that workers ring */
    int pass;             /* the bell that wakes one waiting worker */
    pf_time now;          /* of this turn */
    pf_time deadline;     /* of the last plan */
    bool watches_doors;   /* the listeners are in the wait */
    bool door_rang;       /* this turn: a connection waits, and nobody else would take it */
    bool announced;       /* on_ready was called */
    unsigned told_streak; /* the streak of bad starts that was told last */
    bool gave_up;         /* on_bad_start said so */
    uint32_t log_mark;    /* of the sink that all workers have or have been sent */
    uint32_t log_broken;  /* of the sink that a worker found broken; 0: none */

    /* Measured. */
    pf_time longest_turn;
};

/* Allocate and open everything the running master uses. 0, or a negative errno with the
 * sentence in error. pf_master_close() accepts a master whose open failed. */
PF_MUST_USE int pf_master_open(struct pf_master *m, const struct pf_master_setup *setup,
                               struct pf_error *error);

/* The loop, until the last worker is gone. Returns in the master only. */
void pf_master_run(struct pf_master *m);

void pf_master_close(struct pf_master *m);

/* Give up the tables: in a new worker, which would keep outdated copies of them. */
void pf_master_drop_tables(struct pf_master *m);

/* The handler is a program: descendants that lose their parent become our children. */
bool pf_master_runs_programs(const struct pf_master *m);

/* ---- the steps of a turn, one file each ---- */

/* collect.c: sleep until the deadline or an event; events become facts in the pool. */
void pf_master_collect(struct pf_master *m);

/* act.c: carry out the plan, and mark which of its actions were done. */
void pf_master_act(struct pf_master *m, struct pf_plan *plan);

/* tell.c: say what was done and why. */
void pf_master_tell(struct pf_master *m, const struct pf_plan *plan);
void pf_master_tell_obituary(struct pf_master *m, unsigned slot);
void pf_master_tell_failure(struct pf_master *m, unsigned slot, const char *program,
                            int errnum);

/* spawn.c: fork a worker. False: refused. */
bool pf_master_spawn(struct pf_master *m);

/* reap.c: let go of what belonged to a worker that ended. */
void pf_master_reap(struct pf_master *m, unsigned slot);
void pf_master_reap_orphans(struct pf_master *m);
void pf_master_sweep_orphans(struct pf_master *m);

/* reopen.c: open the log anew, as SIGUSR1 asks for; hand workers the sink that they lack,
 * and look after a broken one. */
void pf_master_reopen_log(struct pf_master *m);
void pf_master_tend_log(struct pf_master *m);

/* collect.c: read what is left in a worker's channel; what its slot on the board says. */
void pf_master_hear(struct pf_master *m, unsigned slot);
void pf_master_read_slot(struct pf_master *m, unsigned slot);

#endif
