/* A worker: birth, ready, serve, end. It never returns into the master's code. */
#ifndef PF_WORKER_WORKER_H
#define PF_WORKER_WORKER_H

#include "base/attr.h"
#include "link/heritage.h"
#include "link/score.h"
#include "log/visit.h"
#include "net/connection.h"
#include "net/datagram.h"
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

/* A process that is master and worker at once: what the worker's half leaves to the other
 * one (master/solo.c). */
struct pf_alone {
    /* It is to leave. Once, where it looks. */
    void (*leaves)(void);
    /* PF_MESSAGE_SIGNAL came, where it looks. */
    void (*signalled)(int signum);
    /* Instead of pf_worker_fail(), which is the end of a worker: end the server. */
    PF_NORETURN void (*fail)(enum pf_worker_exit code, int errnum);
};

/* Of the present connection, for the access log. */
struct pf_account {
    pf_time begin; /* with an access log only */
    enum pf_outcome outcome;
    bool has_status;
    int wait_status; /* of the program that ran for it */
};

struct prefork_worker {
    struct pf_heritage heritage;
    const struct pf_alone *alone; /* NULL: this process is no master */
    const char *role;             /* in the title */
    struct pf_wait wait;          /* channel and listeners; shape callback and nowait */
    bool leaving;                 /* asked to leave, or the master is gone */
    bool labelled;                /* the program set its own title */
    bool has_turn;                /* serialize: nobody else waits for connections now */
    bool lacks_tls;               /* for a port that has it, which was told */
    bool is_out; /* of descriptors or memory: the last accept failed for want of them */
    volatile sig_atomic_t ending; /* a signal came while a program ran: end after it */
    volatile pid_t program;       /* that runs for the present connection; 0: none */
    unsigned long requests;       /* connections accepted */
    unsigned long ask_at;         /* requests after which to ask to leave; 0: never */
    unsigned long stop_at; /* requests after which not to accept any more; 0: never */
    unsigned served;       /* the listener of the last connection */
    unsigned paused;       /* listeners left out of the wait for now */
    pf_time resume_at[PF_LISTENERS_MAX]; /* 0: not paused */
    bool has_one_more[PF_LISTENERS_MAX]; /* fair: in this turn, from this listener */
    struct pf_score_line score;          /* what the scoreboard says of this worker */
    int null_fd;                 /* stdin and stdout between connections; -1: not used */
    struct prefork_conn conn;    /* the connection being served */
    struct pf_account account;   /* and what its line will say */
    pid_t pid;                   /* of this process; 0: not asked for yet */
    struct pf_datagram datagram; /* or the datagram; its buffer lasts */
    size_t datagram_bytes;       /* of that buffer */
};

/* The life of a worker in the process that was just forked for it. */
PF_NORETURN void pf_worker_main(const struct pf_heritage *heritage);

/* inet.c: serve the connection on descriptors 0 and 1 in this process, which has no
 * master, and return. */
void pf_inet_serve(const struct pf_recipe *recipe);

/* ---- steps of that life, one file each ---- */

/* birth.c: forget the master; become a worker of this recipe. */
void pf_worker_birth(struct prefork_worker *w, const struct pf_heritage *heritage);

/* birth.c: give up what the master kept and nobody who talks to clients should have. 0 or a
 * negative errno. */
PF_MUST_USE int pf_worker_give_up(const struct pf_recipe *recipe);

/* serve.c: accept, handle, close, until asked to leave. */
void pf_worker_serve(struct prefork_worker *w);

/* serve.c: one connected socket (consumed) that came in at a listener. */
void pf_worker_connection(struct prefork_worker *w, int fd, const struct pf_listener *l);

/* worker.c: become a worker in this process, of which it is not all: there is no master
 * (alone is NULL), or this process is it. role is the first word of its state in the title.
 * Then what comes before the first connection: 0, or what child_init_hook refused with;
 * what its handler does, until it should leave; and the end of being a worker. */
struct prefork_worker *pf_worker_alone(const struct pf_heritage *heritage,
                                       const struct pf_alone *alone, const char *role);
PF_MUST_USE int pf_worker_get_ready(struct prefork_worker *w);
void pf_worker_work(struct prefork_worker *w);
void pf_worker_retire(struct prefork_worker *w);

/* worker.c: let SIGTERM, SIGINT and SIGQUIT end this process where it is. */
void pf_worker_end_by_signal(void);

/* worker.c: child_finish_hook, and what the program printed. */
void pf_worker_finish(struct prefork_worker *w);

/* admit.c: may the present connection be served? A denial is logged. */
bool pf_worker_admits(struct prefork_worker *w);

/* admit.c: as prefork_peer_name(). */
const char *pf_worker_peer_name(struct prefork_conn *c);

/* serve.c: tell about w->conn, serve or deny it, with the hooks around it. */
void pf_worker_handle(struct prefork_worker *w);

/* account.c: w->conn was opened; close it, and write its line in the access log if the
 * program wrote none. */
void pf_account_begin(struct prefork_worker *w);
void pf_account_close(struct prefork_worker *w);

/* datagram.c: a buffer, if there are sockets for datagrams; then: receive one from this
 * listener as pf_datagram_receive(), and serve it and some of those behind it. True: the
 * listener was left out of the wait and has to be put back. */
void pf_datagrams_prepare(struct prefork_worker *w);
void pf_datagrams_forget(struct prefork_worker *w);
PF_MUST_USE int pf_datagrams_take(struct prefork_worker *w, const struct pf_listener *l,
                                  int *ret_errnum);
bool pf_datagrams_serve(struct prefork_worker *w, const struct pf_listener *l);

/* secure.c: the handshake, if the connection came in on a port with TLS. False: it failed,
 * which is logged and told to the program, or there is no certificate; the connection is
 * good for nothing. */
bool pf_worker_secure(struct prefork_worker *w);

/* secure.c: before code that accepts by itself begins: fail if it would do so on a port
 * with TLS. */
void pf_worker_refuse_plain(struct prefork_worker *w);

/* departure.c: let the master know when the client of the present connection goes, if it
 * wants to. */
void pf_worker_watch_client(struct prefork_worker *w);

/* nowait.c: prepare the environment once; then a program for each connection. */
void pf_nowait_prepare(struct prefork_worker *w);
void pf_nowait_serve(struct prefork_worker *w);

/* dequeue.c: run the program's dequeue function once. */
void pf_dequeue_run(struct prefork_worker *w);

/* relay.c: the program for a connection with TLS. As pf_program_run(). */
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

/* speak.c: a line, or the wish that the server stops, to the master; and: leave after the
 * present connection, as if asked. The first returns 0, -EMSGSIZE, -EAGAIN or -EPIPE. All
 * may be called in a signal handler. */
PF_MUST_USE int pf_worker_tell(struct prefork_worker *w, const char *line);
void pf_worker_stop_server(struct prefork_worker *w, const char *reason);
void pf_worker_leave(struct prefork_worker *w);
void pf_worker_leave_by_signal(int signum);

/* score.c: the line on the scoreboard. The worker starts; it does this now, or since then;
 * it has the connection w->conn since then; an answer to it begins; the program gave itself
 * a label ("": none). */
void pf_worker_score_open(struct prefork_worker *w);
void pf_worker_score(struct prefork_worker *w, char state);
void pf_worker_score_since(struct prefork_worker *w, char state, pf_time now);
void pf_worker_score_connection(struct prefork_worker *w, pf_time now);
void pf_worker_score_answer(struct prefork_worker *w);
void pf_worker_score_label(struct prefork_worker *w, const char *label);

/* score.c: a loop of the program's own has work; idle before, or reading again after
 * something else, means that it is new work. And: as prefork_update_scoreboard(). */
void pf_worker_score_work(struct prefork_worker *w, char state);
PF_MUST_USE int pf_worker_update_score(struct prefork_worker *w, char state);

/* worker.c: the worker that this process is; NULL: it is none. */
struct prefork_worker *pf_worker_here(void);

/* worker.c: look at the channel; true if this worker should leave. */
bool pf_worker_is_asked(struct prefork_worker *w);

/* worker.c: the title as it is while the program sets none; the program sets one, or (NULL)
 * gives it back. */
void pf_worker_title(const struct prefork_worker *w);
void pf_worker_label(struct prefork_worker *w, const char *label);

/* worker.c: say so on the board and in the title; nothing in a dequeue process. The second
 * returns since when. */
void pf_worker_say_idle(struct prefork_worker *w);
pf_time pf_worker_say_busy(struct prefork_worker *w, unsigned accepted);

#endif
