/* The simulator: one struct that is the whole world outside the master.
 *
 *   heap.c      what happens next
 *   kernel.c    os/, link/channel and net/listener as the master sees them
 *   process.c   workers: what they do between fork and exit
 *   reload.c    reloads, and masters that take over from masters
 *   watch.c     what must always hold, looked at on every step
 *   world.c     random settings, programs, load and operators
 *   scenario.c  runs with a purpose
 *   main.c      how many, and from which seed */
#ifndef PF_SIM_H
#define PF_SIM_H

#include "base/time.h"
#include "link/board.h"
#include "link/channel.h"
#include "link/turn.h"
#include "master/master.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- chance ---------------------------------------------------------------------- */

uint64_t sim_random(void);
/* 0 to below - 1; from to to, both included. */
uint64_t sim_below(uint64_t below);
pf_time sim_span(pf_time from, pf_time to);
/* So many times in a thousand. */
bool sim_chance(unsigned per_mille);

/* ---- what happens next ------------------------------------------------------------ */

enum sim_event_kind {
    SIM_EVENT_PROCESS,  /* the next step of a process */
    SIM_EVENT_FATE,     /* what comes over a process whatever it does */
    SIM_EVENT_ARRIVAL,  /* connections */
    SIM_EVENT_LOAD,     /* the load changes */
    SIM_EVENT_OPERATOR, /* somebody does something to the master, or the machine */
    SIM_EVENT_STOP,     /* the end of the run is asked for */
};

struct sim_event {
    pf_time at;
    uint64_t order; /* of making: ties are broken by it */
    enum sim_event_kind kind;
    unsigned process;
    uint64_t stamp; /* void unless the process still has this one */
};

void sim_heap_clear(void);
void sim_at(pf_time at, enum sim_event_kind kind, unsigned process, uint64_t stamp);
/* The earliest; NULL: nothing will ever happen. */
const struct sim_event *sim_next(void);
struct sim_event sim_take(void);

/* ---- processes --------------------------------------------------------------------- */

/* How a life goes wrong. */
enum sim_fate {
    SIM_FATE_FINE,
    SIM_FATE_CRASH_AT_BIRTH,
    SIM_FATE_CRASH_IN_INIT,
    SIM_FATE_REFUSE_INIT, /* child_init_hook, or the program cannot be started */
    SIM_FATE_HANG_IN_INIT,
    SIM_FATE_CRASH_READY, /* right after it became ready */
    SIM_FATE_CRASH_IN_REQUEST,
    SIM_FATE_HANG_IN_REQUEST,
    SIM_FATE_CRASH_CHANGING, /* between two words on the board */
    SIM_FATE_CRASH_LATER,    /* at any moment */
    SIM_FATE_KILLED,         /* SIGKILL from outside */
    SIM_FATE_LEAVES,         /* ends by itself with status 0 */
    SIM_FATE_HOSTILE,        /* scribbles over its page, talks nonsense */
    SIM_FATE_COUNT_OF,
};

enum sim_state {
    SIM_FREE,   /* of this record: no process */
    SIM_UNBORN, /* its channel is open */
    SIM_INIT,
    SIM_ASLEEP, /* in epoll_wait(2) */
    SIM_WOKEN,  /* about to return from it */
    SIM_SERVING,
    SIM_LOOPING, /* in the program's own main_loop */
    SIM_ENDING,  /* its last steps */
    SIM_DEAD,    /* descriptors are closed */
    SIM_ZOMBIE,  /* SIGCHLD was sent */
    SIM_STATE_COUNT_OF,
};

enum {
    SIM_OUTBOX = 4,
    SIM_NOTICES = 64,
    SIM_PIDS = 1 << 15,
};

struct sim_process {
    enum sim_state state;
    enum sim_fate fate;
    bool foreign; /* has become another program: no channel, no board */
    bool deaf;    /* takes no notice of SIGTERM */
    bool undead;  /* nor of SIGKILL: it waits for a broken disk */
    bool dequeue; /* no worker: works for a while, and ends */
    bool was_ready;
    bool idle;           /* by its own last word on the board */
    bool for_connection; /* what woke it */
    bool listens;        /* the listener is in its wait */
    bool ends;           /* counted in sim.ending */
    unsigned slot;
    unsigned next; /* sleeping, or free */
    unsigned before;
    uint64_t stamp;
    uint64_t life; /* number of the birth */
    pf_time born;
    pf_time began;  /* the request it serves */
    pf_time termed; /* SIGTERM by the master; 0: not */
    uint64_t requests;
    uint64_t fatal_request; /* in which its fate meets it */
    uint64_t ask_at;
    uint64_t stop_at;
    int status; /* of wait(2) */
    bool reaped;
    int master_end;
    unsigned asked; /* LEAVE messages not read yet */
    bool asked_ever;
    bool worker_end_open;
    bool master_end_open;
    unsigned outbox_count;
    struct pf_message outbox[SIM_OUTBOX]; /* kind 0: nonsense */
    struct pf_board_seat seat;
};

/* What was true of the last process of a slot when it was reaped. */
struct sim_grave {
    uint64_t life;
    uint64_t requests;
    pf_time age;
    enum sim_fate fate;
    bool was_ready;
    bool foreign;
    uint64_t asked_in; /* number of the plan that did it last */
    uint64_t signalled_in;
    uint64_t buried_in;
};

void sim_process_start(unsigned index);
void sim_process_step(unsigned index);
void sim_process_fate(unsigned index);
void sim_process_signal(unsigned index, int signum);
/* A message from the master arrived. */
void sim_process_hear(unsigned index);
/* A connection arrived: somebody who sleeps is woken. */
void sim_process_wake_one(void);
/* The bell for waiting workers was rung. */
void sim_process_pass(void);
/* It must not be counted as idle any more. */
void sim_process_forget(unsigned index);
bool sim_process_alive(const struct sim_process *p);

/* ---- descriptors ------------------------------------------------------------------- */

enum sim_fd_kind {
    SIM_FD_FREE,
    SIM_FD_PLAIN, /* wait object, worker's end: nothing ever happens there for the master */
    SIM_FD_SIGNALS,
    SIM_FD_BELL,
    SIM_FD_CHANNEL,
    SIM_FD_DOOR,
    SIM_FD_NOTICES,
};

struct sim_fd {
    enum sim_fd_kind kind;
    unsigned process;
    bool watched;
    bool once;
    bool waiting; /* in the list of those that may be ready */
    uint64_t tag;
    int next;
};

int sim_fd_open(enum sim_fd_kind kind, unsigned process);
/* Something happened to it: the master may have to wake. */
void sim_fd_touch(int fd);
/* The pid of the process with this life. */
static inline pid_t
sim_pid_of(uint64_t life)
{
    return (pid_t)(1000 + life % 4000000);
}
/* Which of the table it is, unless it was reaped; or SIM_NOBODY. */
unsigned sim_process_of(pid_t pid);
/* A program says READY=1. */
void sim_say_ready(pid_t pid);
void sim_kernel_reset(void);
void sim_kernel_free(void);
/* Let this much time go by, and happen what happens in it. */
void sim_pass(pf_time span);
/* One event. */
void sim_happen(void);

/* ---- the world ----------------------------------------------------------------------- */

/* The program in the workers. */
struct sim_program {
    unsigned fate[SIM_FATE_COUNT_OF]; /* per mille of the births */
    unsigned deaf;                    /* per mille of the births */
    unsigned undead;
    pf_time init_least, init_most;
    pf_time request_least, request_most;
    pf_time end_most; /* child_finish_hook */
    pf_time fate_most;
    bool even;              /* arrivals at equal distances, requests of equal length */
    bool doomed;            /* no birth comes to anything */
    enum sim_fate deployed; /* of all births of the program that a reload tries */
};

struct sim_counts {
    uint64_t lives;
    uint64_t dequeues; /* of these */
    uint64_t connections;
    uint64_t accepted;
    uint64_t served;
    uint64_t refused;
    uint64_t turns;
    uint64_t births_refused;
    uint64_t retired; /* asked as surplus */
    uint64_t takeovers;
    uint64_t commits;
    uint64_t rollbacks;
    uint64_t by_fate[SIM_FATE_COUNT_OF];
    uint64_t by_reason[PF_REASON_COUNT_OF];
};

struct sim {
    /* the run */
    uint64_t seed;
    uint64_t random;
    pf_time now;
    uint64_t life;      /* lives of this run */
    uint64_t life_most; /* the end is asked for when so many were lived */
    uint64_t order;
    void (*script)(unsigned second); /* of a scenario: called once a second */
    bool verbose;

    /* settings */
    struct pf_policy policy;
    struct pf_recipe recipe;
    struct pf_listeners listeners;
    struct pf_turn turn; /* none */
    struct sim_program program;
    pf_time arrival; /* mean distance of connections; PF_NEVER: none */
    unsigned burst;
    unsigned backlog;
    unsigned trouble; /* per mille of operator's moments in which births are refused */
    pf_time operator_most;

    /* the kernel */
    struct sim_event *heap;
    unsigned heap_count, heap_room;
    struct sim_fd *fds;
    int fd_count, fd_room, fd_free;
    int ready_first, ready_last;
    struct sim_process *processes;
    unsigned by_pid[SIM_PIDS]; /* where in it the last one of such a pid was born */
    unsigned process_count, process_room, process_free;
    unsigned sleeper_first, sleeper_last;
    unsigned asleep; /* processes that wait for a connection */
    unsigned woken;  /* of those, such as will look at the queue at once */
    unsigned queue;  /* connections not accepted yet */
    bool shut;
    bool rung;
    pid_t notices[SIM_NOTICES]; /* who said READY=1 and was not heard yet */
    unsigned notice_count;
    int notice_fd;
    bool master_sleeps;
    unsigned pending;  /* signals, a bit each */
    pid_t ended_first; /* whom SIGCHLD names */
    int refuse;        /* births, with this errno; 0: none */
    void *fresh_page;
    char *pages;
    struct pf_board_hints *hints;
    unsigned unborn; /* whose channel was just opened */
    unsigned asks;   /* for a restart of the workers, not heard yet */
    uint64_t asked;  /* number of the last one that the master agreed to ... */
    uint64_t told;   /* ... and that it told the end of */
    int signals, bell, pass, door;
    bool passed;     /* the bell for waiting workers rings */
    unsigned ending; /* on their way out and not reaped yet */

    /* reloads */
    bool reload_wanted;
    bool takeover_wanted;
    uint64_t failed_after; /* births after this number, ... */
    uint64_t failed;       /* ... up to this one, are the generation that failed last */

    /* what is watched */
    struct pf_master *master;
    int64_t idle; /* workers that said so and are not buried */
    unsigned alive;
    unsigned dequeues;      /* dequeue processes alive */
    uint64_t dequeue_lives; /* of this run */
    pf_time last_dequeue;   /* birth of one, or the start */
    bool for_dequeue;       /* the next birth is one */
    bool hostile;           /* somebody scribbled: gossip is not to be compared */
    pf_time starved_since;
    pf_time unheard_since;
    pf_time stop_asked; /* 0: not yet */
    pf_time stop_bound;
    pf_time jumped; /* all jumps of the clock since the end was asked for */
    uint64_t buried;
    unsigned max_ever; /* largest max_servers so far */
    pf_time started;
    pf_time deadline;         /* of the present sleep */
    struct sim_grave *graves; /* by slot */
    struct sim_counts counts;
};

extern struct sim sim;

#define SIM_NOBODY UINT32_MAX

/* world.c: a random run from a seed. scenario.c: all runs with a purpose; false: no such
 * name. */
void sim_world_run(uint64_t seed);
bool sim_scenario_run(const char *name, uint64_t seed);
void sim_world_arrive(void);
void sim_world_change_load(void);
void sim_world_operate(void);
void sim_world_stop(void);
/* Run the master from open to close in the world that stands in `sim`. */
void sim_world_live(void);
void sim_world_defaults(uint64_t seed);
pf_time sim_world_distance(void);
void sim_signal_master(int signum);
/* SIGCHLD: this one has ended, and is named if none is pending yet. */
void sim_signal_end(pid_t pid);
void sim_ask_master(void);

/* ---- reload.c ------------------------------------------------------------------------ */

/* A reload of a program with this fate, or the death of the master, at its next turn. */
void sim_reload_ask(enum sim_fate deployed);
void sim_reload_die(void);
/* Between facts and plan: what the master does about them. */
void sim_reload_tend(struct pf_master *m);

/* ---- watching ------------------------------------------------------------------------ */

/* Remember a step, for the case that one of the next fails. */
void sim_note(const char *format, ...) PF_PRINTF(1, 2);
PF_NORETURN void sim_fail(const char *format, ...) PF_PRINTF(1, 2);

#define SIM_CHECK(what, ...) ((what) ? (void)0 : sim_fail(__VA_ARGS__))

void sim_watch_reset(void);
void sim_watch_birth(const struct sim_process *p);
void sim_watch_pre_fork(enum prefork_kind kind, void *data);
void sim_watch_sleep(pf_time deadline);
void sim_watch_asleep(void);
void sim_watch_ask(const struct sim_process *p);
void sim_watch_reaped(const struct sim_process *p);
void sim_watch_buried(const struct prefork_child *child, void *data);
void sim_watch_end(void);

#endif
