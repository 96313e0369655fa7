/* The board: one page per worker, written by that worker alone, and a page of hints.
 *
 * What is where, and who writes it:
 *
 *   slot page (one per worker)       the worker writes, the master reads
 *     what it does, since when, how many connections it has accepted; and the same in
 *     the form of the scoreboard, for everybody who asks (link/score.h)
 *     (a dequeue process has a page too, and is never counted as idle)
 *
 *   hints page (one)                 everybody writes
 *     idle          how many workers are idle, and how often that changed
 *     lowest        the lowest idle count since the master last looked
 *     wake_below    an idle count below this wakes the master once; 0: none does
 *     want_ready    a worker that becomes ready wakes the master once
 *     outlet_marks  of each outlet, the sink that should be written to (log/outlet.h)
 *     log_broken    the mark of one that takes no more lines; whoever sets it wakes the
 *                   master
 *
 * The master believes slot pages as gossip (core/pool.h) and hints only so far as to wake
 * up: who is alive, and who may do what, stands in its private table. Nothing on the board
 * is an index, a pointer or a length, so there is nothing in it to follow. A hostile
 * worker can make the master wake too often or too late; the master audits the idle count
 * against the slots whenever it is awake. */
#ifndef PF_LINK_BOARD_H
#define PF_LINK_BOARD_H

#include "base/attr.h"
#include "base/outlet.h"
#include "base/time.h"
#include "link/score.h"
#include "os/share.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What a worker does. The two changing states say that the idle count is about to be, or
 * has just been, changed: whoever dies there leaves the count in doubt. */
enum pf_board_state {
    PF_BOARD_STARTING,
    PF_BOARD_TO_IDLE,
    PF_BOARD_IDLE,
    PF_BOARD_TO_BUSY,
    PF_BOARD_BUSY,
    PF_BOARD_SPENT, /* has accepted all it may; waits to be asked to leave */
    PF_BOARD_APART, /* ready and at work of its own: a dequeue process */
};

/* The server is to stop. A number that a stray pointer does not leave behind by accident.
 */
#define PF_BOARD_STOP 0x53544f50u

struct pf_board_slot {
    _Atomic uint32_t state;       /* enum pf_board_state */
    _Atomic uint32_t wants_leave; /* it has accepted about as many as it may */
    _Atomic uint64_t requests;    /* connections accepted, datagrams received */
    _Atomic int64_t since;        /* of being idle or busy; pf_time */
    _Atomic uint32_t words;       /* messages it has put on its channel, roughly */
    _Atomic uint32_t wants_stop;  /* PF_BOARD_STOP: there was no room on the channel */
    struct pf_score score;
};

struct pf_board_hints {
    _Atomic uint64_t idle; /* low half: workers idle; high half: changes so far */
    _Atomic uint32_t lowest;
    _Atomic uint32_t wake_below;
    _Atomic uint32_t want_ready;
    _Atomic uint32_t outlet_marks[PF_OUTLET_COUNT];
    _Atomic uint32_t log_broken; /* 0: none is */
};

/* ---- the master's side ---- */

struct pf_board_note {
    bool used;    /* the page was a worker's at some time */
    bool counted; /* the idle count is about this slot */
};

struct pf_board {
    struct pf_board_hints *hints; /* in ... */
    struct pf_share_object shared;
    struct pf_share_pages pages; /* one per slot */
    unsigned capacity;           /* slots */
    int64_t epoch;               /* as in struct pf_board_seat */
    struct pf_board_note *notes; /* private; one per slot */
};

/* 0 or a negative errno. Close accepts a board whose open failed. */
PF_MUST_USE int pf_board_open(struct pf_board *b, unsigned capacity);
void pf_board_close(struct pf_board *b);

/* The board of a master that was here before, by its descriptors (consumed, also on
 * failure); it may have more slots now. Which of them are somebody's is told after that,
 * worker by worker. 0 or a negative errno. */
PF_MUST_USE int pf_board_adopt(struct pf_board *b, int pages_fd, int hints_fd,
                               unsigned capacity);
void pf_board_adopt_slot(struct pf_board *b, unsigned slot, bool counted);

/* Before a fork: a fresh page for this slot. 0 or a negative errno. */
PF_MUST_USE int pf_board_fresh(struct pf_board *b, unsigned slot);

/* In the worker, once: its own page. There is no way to any other when the descriptor of
 * the pages, which is left to the caller, is closed. NULL: no memory left. */
struct pf_board_slot *pf_board_claim(int pages_fd, unsigned slot);

/* The master's view of a slot's page; NULL before its first worker. */
struct pf_board_slot *pf_board_slot(const struct pf_board *b, unsigned slot);

/* The worker of this slot is dead, or what was born there is none: it is not counted as
 * idle any more. */
void pf_board_forget(struct pf_board *b, unsigned slot);

/* Make the idle count what the slots say, if they hold still long enough to be sure. */
void pf_board_audit(struct pf_board *b, unsigned used);

/* Idle workers by the hint; and the lowest count since the last call, UINT32_MAX: it did
 * not go down. */
uint32_t pf_board_idle(const struct pf_board *b);
uint32_t pf_board_take_lowest(struct pf_board *b);

/* From now on wake the master when fewer than wake_below are idle (0: never), and when a
 * worker becomes ready. True: fewer are idle already; nobody will wake the master. */
bool pf_board_arm(struct pf_board *b, uint32_t wake_below, bool want_ready);

/* The mark of the sink that workers should write to: as it stands there (0: none was
 * named), and from now on; and the mark of a sink of the log that a worker found broken
 * since the last call, 0: none did. */
void pf_board_say_outlet(struct pf_board *b, enum pf_outlet outlet, uint32_t mark);
uint32_t pf_board_outlet(const struct pf_board *b, enum pf_outlet outlet);
uint32_t pf_board_take_log_broken(struct pf_board *b);

/* ---- a worker's side ---- */

struct pf_board_seat {
    struct pf_board_slot *slot;
    struct pf_board_hints *hints;
    int wake_fd;   /* eventfd(2) that wakes the master; borrowed */
    int64_t epoch; /* what has to be added to a pf_time for the scoreboard's time */
    struct pf_score *published; /* the line in the scoreboard's file; NULL: none */
};

/* Ready or done: idle from here on. Saying twice what was said is without effect. */
void pf_board_say_idle(struct pf_board_seat *seat, pf_time now);

/* Has accepted a connection, or found other work (accepted: 0). */
void pf_board_say_busy(struct pf_board_seat *seat, pf_time now, unsigned accepted);

/* Busy since before, and now with the next one, which was accepted without a pause. */
void pf_board_say_next(struct pf_board_seat *seat, pf_time now);

/* Would like to be asked to leave; and: does not accept any more until it is. */
void pf_board_say_wants_leave(struct pf_board_seat *seat);
void pf_board_say_spent(struct pf_board_seat *seat);

/* About to end, which may take the program a while: not idle any more, if it was. */
void pf_board_say_leaving(struct pf_board_seat *seat, pf_time now);

/* Ready, and never idle. */
void pf_board_say_apart(struct pf_board_seat *seat);

/* A message is on the channel, which the master does not watch; and: there was no room for
 * the one that says that the server should stop. Both may be called in a signal handler. */
void pf_board_say_spoke(struct pf_board_seat *seat);
void pf_board_say_wants_stop(struct pf_board_seat *seat);

/* The log's sink of this mark takes no more lines. Wakes the master once for each mark. */
void pf_board_say_log_broken(const struct pf_board_seat *seat, uint32_t mark);

/* Wake the master, whatever its reason. */
void pf_board_wake(const struct pf_board_seat *seat);

#endif
