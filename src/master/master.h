/* The master: one loop, and the struct that holds all it knows.
 *
 * It never serves a client, never sleeps but in pf_master_collect(), and after
 * pf_master_open() never ends but by a finished plan: what fails from there on is a fact
 * for the next plan. */
#ifndef PF_MASTER_MASTER_H
#define PF_MASTER_MASTER_H

#include "base/attr.h"
#include "base/error.h"
#include "base/outlet.h"
#include "core/plan.h"
#include "core/reload.h"
#include "link/board.h"
#include "link/score_file.h"
#include "link/turn.h"
#include "master/control.h"
#include "master/herald.h"
#include "master/parting.h"
#include "master/store.h"
#include "master/upgrade.h"
#include "net/listener.h"
#include "os/process.h"
#include "os/wait.h"
#include "os/watch.h"
#include "worker/recipe.h"

#include <stdbool.h>
#include <sys/socket.h>

struct pf_daemonized;
struct pf_patrol;
struct pf_state;

/* What the master needs of the kernel for one worker. Its slot in the pool has the same
 * index. */
struct pf_child {
    struct pf_process process;
    uint64_t start; /* when it was started, as the kernel counts: a name with its pid */
    int channel;    /* the master's end; -1: none, or the worker closed its end */
    int wire;       /* likewise, of child_communication */
    uint32_t marks[PF_OUTLET_COUNT]; /* of the sinks that it has, or has been sent */
    unsigned log_kind;               /* of the sink that its log has: enum pf_log_kind */
    uint32_t words;                  /* of its page, when it was heard last */
    bool speaks;                     /* and there was more */
    bool told_unread;                /* that child_is_talking_hook does not read */
    int departures;     /* where its clients are watched; -1: nobody wants to know */
    unsigned unsettled; /* looks at its line in vain */
    uint64_t departed;  /* the connection whose client has gone, as was told last */
    uint64_t score;     /* number of the scoreboard's file that it writes to; 0: to none */
    int64_t copied;     /* of its line: when it had changed that was copied there last */
};

/* Things that last as long as the master and are made before it. All borrowed. */
struct pf_master_setup {
    const struct pf_recipe *recipe;
    const struct pf_policy *policy; /* copied: TTIN and TTOU change the copy */
    struct pf_listeners *listeners;
    struct pf_turn *turn;
    struct pf_herald herald; /* copied */
    /* Files whose change makes a reload, copied, and the watch over them. NULL: none. */
    const struct pf_reload *reload;
    struct pf_watch *watch;
    struct pf_score_file *score_file; /* NULL: none */
    int keeper;                       /* the socket to it; -1: there is none */
    bool fdstore;                     /* or the service manager is to store things */
    const struct pf_daemonized *daemonized;
    const struct pf_held *held;
    struct pf_image *image; /* the program of this process, by which a reload goes on ... */
    const char *no_image;   /* ... unless it cannot, because of this; NULL: it can */
    struct pf_state *from;  /* what was taken over from the master before; NULL: nothing */
    unsigned seed;          /* of the jitter */
    /* The first worker is ready (or none is wanted yet): called once. May be NULL. */
    void (*on_ready)(void *context);
    /* The first workers all failed: the server cannot start. True: give up. May be NULL. */
    bool (*on_bad_start)(void *context);
    /* Add what the starting process holds and a new worker is to close. May be NULL. */
    void (*on_parting)(void *context, struct pf_parting *parting);
    /* A reload: this is the program from here on; this process goes back to the one before.
     */
    void (*on_commit)(void *context);
    void (*on_return)(void *context);
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
    pf_time ready_look;   /* when they are looked into next */
    int notices;          /* where programs that accept say that they are ready; or -1 */
    pf_time now;          /* of this turn */
    pf_time deadline;     /* of the last plan */
    bool watches_doors;   /* the listeners are in the wait */
    bool door_rang;       /* this turn: a connection waits, and nobody else would take it */
    bool unheard;         /* this turn: workers have said more than was listened to */
    unsigned hear_from;   /* the slot to be heard first */
    bool announced;       /* on_ready was called */
    unsigned told_streak; /* the streak of bad starts that was told last */
    bool gave_up;         /* on_bad_start said so */
    pf_time reap_at;      /* when it is asked who has ended */
    bool many_end;        /* more had, the last time, than SIGCHLD had named */
    bool asks_for_each;   /* then: for somebody else may have waited for a worker */
    bool is_init;         /* process 1: whoever is orphaned is this one's to reap */
    uint32_t marks[PF_OUTLET_COUNT]; /* of sinks that all workers have or have been sent */
    uint32_t log_broken; /* of the log's sink that a worker found broken; 0: none */
    struct pf_reload reload;
    struct pf_upgrade upgrade;
    struct pf_control control;
    struct pf_herald herald;
    struct pf_store store;
    struct pf_score_totals score_totals; /* as they were written last */
    unsigned score_used; /* records of the scoreboard that were ever in use */
    bool score_damaged;  /* the scoreboard's file was cut or removed, and left alone */
    bool score_refused;  /* a write to it failed, which was told */

    /* Measured. */
    pf_time longest_turn;

    struct pf_parting_room parting; /* for what workers are to close */

    /* Clients that go. */
    struct pf_patrol *patrol; /* of programs that accept by themselves; or NULL */
    struct sockaddr_storage usual_local; /* an address of this machine that clients use */
    unsigned walks_left;                 /* this turn: through all connections */
};

/* How many workers and dequeue processes such a master can have at a time. */
unsigned pf_master_capacity(const struct pf_policy *policy);

/* Allocate and open everything the running master uses. 0, or a negative errno with the
 * sentence in error. pf_master_close() accepts a master whose open failed. */
PF_MUST_USE int pf_master_open(struct pf_master *m, const struct pf_master_setup *setup,
                               struct pf_error *error);

/* The loop, until the last worker is gone. Returns in the master only. */
void pf_master_run(struct pf_master *m);

void pf_master_close(struct pf_master *m);

/* The pool serves, or will as soon as somebody comes. */
PF_MUST_USE bool pf_master_is_ready(const struct pf_master *m);

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

/* What is made for a worker before it is. -1: closed, or not made. */
struct pf_cradle {
    unsigned slot;
    enum pf_kind kind;
    bool published; /* there is a page in the scoreboard's file */
    int channel;    /* the master's ends */
    int wire;
    int departures;     /* both have it */
    int worker_channel; /* the worker's */
    int worker_wire;
};

/* spawn.c: fork a worker or a dequeue process. False: refused. And: be told of what happens
 * to a worker. 0 or a negative errno. */
bool pf_master_spawn(struct pf_master *m, enum pf_kind kind);
PF_MUST_USE int pf_master_watch_child(struct pf_master *m, const struct pf_cradle *c,
                                      const struct pf_process *process);
enum prefork_kind pf_master_kind(enum pf_kind kind);

/* reap.c: let go of what belonged to a worker that ended. SIGCHLD came, and this one was
 * the first. When it is time: let go of all who have ended; children that are none of the
 * pool's are reaped only if somebody wants that. */
void pf_master_reap(struct pf_master *m, unsigned slot);
void pf_master_child_ended(struct pf_master *m, pid_t pid);
void pf_master_reap_ended(struct pf_master *m);
void pf_master_sweep_orphans(struct pf_master *m);

/* reopen.c: open the outlets anew, as SIGUSR1 asks for (m NULL: there are no workers); hand
 * workers the sinks that they lack, and look after a broken one; note that a worker was
 * born with those there are. */
void pf_master_reopen_outlets(struct pf_master *m);
void pf_master_tend_outlets(struct pf_master *m);
void pf_master_note_outlets(struct pf_child *child);

/* publish.c: the line of a slot on the scoreboard: somebody is about to be born there
 * (true: it stands in the file too), it was a program that accepts by itself, it is
 * nobody's any more; and in the file lines of those who write to another one, and what
 * changed in the totals. */
bool pf_master_publish_birth(struct pf_master *m, unsigned slot);
void pf_master_publish_program(struct pf_master *m, unsigned slot);
void pf_master_publish_end(struct pf_master *m, unsigned slot);
void pf_master_publish_strangers(struct pf_master *m);
void pf_master_publish_totals(struct pf_master *m);

/* files.c: before there is a master, and before another root directory: be told of changes
 * of these files, if that can be had. In it: begin; something changes; look if it is time
 * to. */
void pf_master_watch_files(struct pf_watch *w, const struct pf_reload *reload);
void pf_master_open_files(struct pf_master *m);
void pf_master_hear_files(struct pf_master *m);
void pf_master_tend_files(struct pf_master *m);

/* state.c: what this master is, to be handed over, in *s (whose table of workers is the
 * caller's): all of it; its workers alone; who asks for things. What of a state this master
 * is: how many slots it needs at least; its board and bells (0 or a negative errno); its
 * workers; who asks. */
void pf_master_fill_state(const struct pf_master *m, struct pf_state *s);
void pf_master_fill_workers(const struct pf_master *m, struct pf_state *s);
void pf_master_fill_control(const struct pf_master *m, struct pf_state *s);
unsigned pf_state_slots_needed(const struct pf_state *s);
PF_MUST_USE int pf_master_adopt_board(struct pf_master *m, const struct pf_state *s);
void pf_master_adopt_workers(struct pf_master *m, const struct pf_state *s);
void pf_master_adopt_control(struct pf_master *m, const struct pf_state *s);

/* collect.c: what a slot on the board says; and: the program wants the server to stop.
 * worker: which one; 0: here. */
void pf_master_read_slot(struct pf_master *m, unsigned slot);
void pf_master_stop(struct pf_master *m, pid_t worker, const char *reason);

/* rollover.c: replace all workers; how it is going (text: a sentence, once it has ended);
 * somebody waits for a new worker to be ready. */
enum pf_rollover_state {
    PF_ROLLOVER_UNDER_WAY,
    PF_ROLLOVER_DONE,
    PF_ROLLOVER_FAILED, /* new workers do not start: those from before serve on */
};
void pf_master_begin_rollover(struct pf_master *m);
enum pf_rollover_state pf_master_rollover(struct pf_master *m, char *text, size_t bytes);
bool pf_master_is_rolling_over(const struct pf_master *m);

/* hear.c: take messages from the channel of a worker; of a dead one, all there are; of all
 * workers that say on the board that they spoke. */
void pf_master_hear(struct pf_master *m, unsigned slot);
void pf_master_hear_last(struct pf_master *m, unsigned slot);
void pf_master_hear_all(struct pf_master *m);

/* talk.c: wait for words of the program's own on this wire (-1: fine), which is to be the
 * worker's in this slot; there are some; there will be no more: its worker is dead. */
PF_MUST_USE int pf_master_watch_wire(struct pf_master *m, unsigned slot, int wire);
void pf_master_talk(struct pf_master *m, unsigned slot);
void pf_master_talk_last(struct pf_master *m, unsigned slot);

/* departures.c: somebody wants to know which clients go; a worker reports; it is dead and
 * reports no more; the client of a worker has gone, which is to be told. local is of no
 * family if it is not known; both mean nothing for a unix socket. */
bool pf_master_heeds_departures(const struct pf_master *m);
void pf_master_departed(struct pf_master *m, unsigned slot);
void pf_master_unwatch_departures(struct pf_master *m, unsigned slot);
void pf_master_tell_departure(struct pf_master *m, unsigned slot,
                              const struct pf_listener *l,
                              const struct sockaddr_storage *local,
                              const struct sockaddr_storage *peer);

/* patrol.c: the same for programs that accept by themselves: get ready; look if it is time;
 * when it is time again. */
PF_MUST_USE int pf_master_open_patrol(struct pf_master *m);
void pf_master_close_patrol(struct pf_master *m);
void pf_master_patrol(struct pf_master *m);
pf_time pf_master_patrol_at(const struct pf_master *m);

/* ready.c: for programs that accept by themselves: open the socket for what they say, or
 * take over that of the last master; they said something; see who is ready without a word;
 * when to look again. */
PF_MUST_USE int pf_master_open_notices(struct pf_master *m);
void pf_master_hear_notices(struct pf_master *m);
void pf_master_look_for_ready(struct pf_master *m);
pf_time pf_master_ready_at(const struct pf_master *m);

/* taken.c: the program in this slot is seen to have a connection at one of our listeners.
 * False: nothing is known. */
bool pf_master_has_taken(const struct pf_master *m, unsigned slot);

/* desk.c: make this the master that the calls below are about; nobody is, and nothing is
 * wanted any more; a stop is wanted (also before the master is there, and in a signal
 * handler; false: one was wanted before), and why (NULL: none is; borrowed); take that up;
 * the wire of a worker, or -1. */
void pf_master_open_desk(struct pf_master *m);
void pf_master_clear_desk(void);
bool pf_master_want_stop(const char *reason);
const char *pf_master_wanted_stop(void);
void pf_master_heed_desk(struct pf_master *m);
int pf_master_child_fd(pid_t pid);

/* office.c: this process, and none that it forks, is the master of the server of this name
 * (borrowed); until now; is it?; its title, unless the program has set one; the program
 * sets one, or (NULL) gives it back. */
void pf_master_take_office(const char *name);
void pf_master_leave_office(void);
bool pf_master_is_here(void);
void pf_master_title(void);
void pf_master_label(const char *label);

#endif
