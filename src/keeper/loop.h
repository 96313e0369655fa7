/* The keeper as its files share it. Internal to keeper/. */
#ifndef PF_KEEPER_LOOP_H
#define PF_KEEPER_LOOP_H

#include "base/attr.h"
#include "base/time.h"
#include "keeper/keeper.h"
#include "keeper/next.h"
#include "keeper/shelf.h"
#include "os/process.h"
#include "os/signal.h"
#include "os/wait.h"

#include <stdbool.h>

enum pf_keeper_tag {
    PF_KEEPER_TAG_SIGNAL,
    PF_KEEPER_TAG_SOCKET,
    PF_KEEPER_TAG_END, /* of the master */
    PF_KEEPER_TAG_SHELF,
};

enum pf_keeper_phase {
    PF_KEEPER_MASTER_LIVES,
    PF_KEEPER_PAUSE,
    PF_KEEPER_LEAVING,
    PF_KEEPER_OVER,
};

struct pf_keeper {
    struct pf_keeper_setup setup;
    struct pf_wait wait;
    struct pf_shelf shelf;
    struct pf_next next;
    int signals;
    int socket;               /* to the master */
    struct pf_process master; /* pid 0: none lives */
    pf_time born;             /* the master */
    bool ready;               /* it said so ... */
    bool served;              /* ... or one before it did */
    bool stopping;            /* it said that its end is meant */
    bool asked;               /* somebody else asked for the end */
    bool told_refusal;
    pf_signal_set held; /* for the master, once it is ready */
    enum pf_keeper_phase phase;
    pf_time deadline; /* PAUSE: the next start; LEAVING: the next step */
    pf_time pause;    /* before the start after the next */
    int signum;       /* LEAVING: what who is left is sent; 0: nothing yet */
    int status;       /* to end with, as of wait(2) */
};

/* leave.c: no master will come: let go of everything, and end like this (as of wait(2))
 * when all workers have left; what there is to do for that now; end, as a process with this
 * status did. */
void pf_keeper_leave(struct pf_keeper *k, int status);
void pf_keeper_go_on_leaving(struct pf_keeper *k, pf_time now);
PF_NORETURN void pf_keeper_end_like(int status);

/* signals.c: a signal has come; it is the master's; those that waited for it are. */
void pf_keeper_take_signal(struct pf_keeper *k, int signum);
void pf_keeper_pass_on(struct pf_keeper *k, int signum);
void pf_keeper_pass_on_held(struct pf_keeper *k);

/* hear.c: take all that the master has said. */
void pf_keeper_hear(struct pf_keeper *k);

/* births.c: the master has ended; it is time for another one; one was born: its words and
 * its end are waited for. 0, or a negative errno, and it does not live any more. */
void pf_keeper_bury(struct pf_keeper *k);
void pf_keeper_start_next(struct pf_keeper *k, pf_time now);
PF_MUST_USE int pf_keeper_watch(struct pf_keeper *k);

#endif
