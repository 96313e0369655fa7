/* A worker: birth, ready, serve, end. It never returns into the master's code. */
#ifndef PF_WORKER_WORKER_H
#define PF_WORKER_WORKER_H

#include "base/attr.h"
#include "link/heritage.h"
#include "net/connection.h"
#include "net/listener.h"
#include "os/wait.h"

#include <signal.h>
#include <stdbool.h>

/* How workers end; the master reads these in the log, not in the code. */
enum pf_worker_exit {
    PF_WORKER_EXIT_DONE = 0,
    PF_WORKER_EXIT_INIT = 70,  /* child_init_hook refused */
    PF_WORKER_EXIT_SETUP = 71, /* the system refused what a worker needs */
    PF_WORKER_EXIT_EXEC = 127, /* the program could not be started */
};

struct prefork_worker {
    struct pf_heritage heritage;
    struct pf_wait wait; /* channel and listeners; shape callback and nowait */
    bool leaving;        /* asked to leave, or the master is gone */
    bool labelled;       /* the program set its own title */
    bool is_out; /* of descriptors or memory: the last accept failed for want of them */
    volatile sig_atomic_t ending; /* a signal came while a program ran: end after it */
    volatile pid_t program;       /* that runs for the present connection; 0: none */
    unsigned long requests;       /* connections accepted */
    unsigned long ask_at;         /* requests after which to ask to leave; 0: never */
    unsigned long stop_at; /* requests after which not to accept any more; 0: never */
    unsigned paused;       /* listeners left out of the wait for now */
    pf_time resume_at[PF_LISTENERS_MAX]; /* 0: not paused */
    int null_fd;              /* stdin and stdout between connections; -1: not used */
    struct prefork_conn conn; /* the connection being served */
};

/* The life of a worker in the process that was just forked for it. */
PF_NORETURN void pf_worker_main(const struct pf_heritage *heritage);

/* ---- steps of that life, one file each ---- */

/* birth.c: forget the master; become a worker of this recipe. */
void pf_worker_birth(struct prefork_worker *w, const struct pf_heritage *heritage);

/* serve.c: accept, handle, close, until asked to leave. */
void pf_worker_serve(struct prefork_worker *w);

/* secure.c: the handshake, if the connection came in on a port with TLS. False: it failed,
 * which is logged and told to the program; the connection is good for nothing. */
bool pf_worker_secure(struct prefork_worker *w);

/* nowait.c: prepare the environment once; then a program for each connection. */
void pf_nowait_prepare(struct prefork_worker *w);
void pf_nowait_serve(struct prefork_worker *w);

/* relay.c: the program for a connection with TLS. As pf_process_run(). */
PF_MUST_USE int pf_relay_run(struct prefork_worker *w, char *const environment[],
                             int *ret_wait_status);

/* tie.c: stdin and stdout are a connection with TLS, and what they were before. */
void pf_tie_stdio(struct prefork_worker *w);
void pf_untie_stdio(void);

/* wait.c: become a program that accepts by itself. */
PF_NORETURN void pf_wait_become(struct prefork_worker *w);

/* worker.c: child_finish_hook, then exit. */
PF_NORETURN void pf_worker_end(struct prefork_worker *w, enum pf_worker_exit code);

/* worker.c: tell the master why, log nothing, exit without a hook. */
PF_NORETURN void pf_worker_fail(struct prefork_worker *w, enum pf_worker_exit code,
                                int errnum);

/* worker.c: look at the channel; true if this worker should leave. */
bool pf_worker_is_asked(struct prefork_worker *w);

/* worker.c: say so on the board and in the title. */
void pf_worker_say_idle(struct prefork_worker *w);
void pf_worker_say_busy(struct prefork_worker *w, unsigned accepted);

#endif
