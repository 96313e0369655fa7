/* The state: all that one master hands to the next (docs/notes/0010).
 *
 * Text in a sealed memfd(2), a line for each thing. Descriptors are numbers of the process
 * that reads it: they were inherited over execve(2), or handed in by name by whoever kept
 * them while there was no master. What a reader does not know is an error: both sides are
 * the same program, or two versions of it that must agree on all of this.
 *
 * Nothing is believed that was not looked at: the seals, the version, every number's range
 * here; what a descriptor is, and who a process is, by whoever adopts them. */
#ifndef PF_LINK_STATE_H
#define PF_LINK_STATE_H

#include "base/attr.h"
#include "base/error.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    PF_STATE_VERSION = 1,
    PF_STATE_LISTENERS_MAX = 64,
    PF_STATE_FILES_MAX = 16,
    PF_STATE_WAITERS_MAX = 8,
    PF_STATE_PATH_BYTES = 4096,
    PF_STATE_TEXT_BYTES = 512,
    PF_STATE_NAME_BYTES = 64,
    PF_STATE_ADDRESS_BYTES = 160,
};

/* What the next master is to do with it. */
enum pf_state_kind {
    PF_STATE_CHECK,    /* could this be taken over? Say so, and end */
    PF_STATE_TRIAL,    /* take over, start a new generation, and go back if it fails */
    PF_STATE_ROLLBACK, /* take over: the other one failed */
    PF_STATE_ADOPT,    /* take over: the last master is dead */
};

/* Single descriptors, -1: none. */
enum pf_state_fd {
    PF_STATE_FD_BOARD,
    PF_STATE_FD_HINTS,
    PF_STATE_FD_WAKE,
    PF_STATE_FD_PASS,
    PF_STATE_FD_NOTICES, /* of programs that accept by themselves */
    PF_STATE_FD_PID,     /* the pid file, locked */
    PF_STATE_FD_NOTIFY,  /* of the service manager */
    PF_STATE_FD_STORE,   /* of the keeper */
    PF_STATE_FD_CONTROL, /* where requests come in */
    PF_STATE_FD_VERDICT, /* CHECK: where the answer goes */
    PF_STATE_FD_SCORE,   /* the scoreboard's file, locked */
    PF_STATE_FD_PAGES,   /* the same, for the pages of workers */
    PF_STATE_FD_TICKETS, /* TRIAL, ROLLBACK: keys of TLS sessions */
    PF_STATE_FD_COUNT_OF,
};

struct pf_state_listener {
    int fd;
    unsigned id;
    unsigned proto; /* enum pf_proto */
    unsigned shard;
    bool inherited;    /* from outside, and not from a master before this one */
    bool any_port;     /* the kernel chose its port */
    uint64_t dev, ino; /* of the file of a unix socket that is ours; 0: none */
    char address[PF_STATE_ADDRESS_BYTES];
};

enum pf_file_role {
    PF_FILE_EXECUTABLE,
    PF_FILE_PROGRAM, /* run or loaded to serve */
    PF_FILE_CONFIG,
};

/* A file that the way back needs, as it was when it was read. */
struct pf_state_file {
    int fd;
    unsigned role; /* enum pf_file_role */
    char path[PF_STATE_PATH_BYTES];
};

/* Who wants to know how a reload ends. */
struct pf_state_waiter {
    int fd;
    uint64_t number; /* of the reload */
};

struct pf_state_worker {
    unsigned slot;
    unsigned kind; /* enum pf_kind */
    unsigned life; /* enum pf_life */
    unsigned step; /* enum pf_step */
    unsigned reason;
    pid_t pid;
    uint64_t start; /* field 22 of /proc/PID/stat: tells it from others with its number */
    uint64_t birth;
    pf_time born, asked, signalled;
    bool was_ready, exempt;
    bool adopted;                  /* it is no child of the master */
    int channel, wire, departures; /* -1: none */
    unsigned log_kind;             /* of the log that it writes: enum pf_log_kind */
    uint64_t score; /* number of the scoreboard's file that it writes to; 0: to none */
};

struct pf_state {
    enum pf_state_kind kind;
    char name[PF_STATE_NAME_BYTES]; /* of the server */
    pid_t pid;           /* of the master that wrote it; CHECK: who is to check */
    uint64_t generation; /* of programs, from 1 */
    uint64_t reload;     /* number of the last reload that began */
    unsigned wanted;     /* enum pf_upgrade_wish: what waits for its end */
    uint64_t stored;     /* of the last state that was stored; 0: none was */
    uint64_t last_birth; /* ADOPT, not written: of which something is stored; or 0 */
    char reason[PF_STATE_TEXT_BYTES]; /* ROLLBACK: why */

    /* What the process was before it became a master. */
    uint64_t mask; /* blocked signals: bit n - 1 is signal n */
    uint64_t nofile_soft, nofile_hard;

    int fds[PF_STATE_FD_COUNT_OF];
    pf_time watchdog;
    bool forked; /* the service manager started another process */

    char pid_file[PF_STATE_PATH_BYTES];
    char score_file[PF_STATE_PATH_BYTES];
    uint64_t score_number; /* of that file */
    unsigned score_used;   /* records that were ever in use */

    unsigned slots;      /* of the board */
    unsigned slot_bytes; /* of a slot's struct there: the same program must mean the same */
    uint64_t births, births_at_failure, outdated_after, outdated, requests;
    unsigned size, surge; /* while they are replaced: of the pool, and above it */
    unsigned max_servers;

    unsigned listener_count;
    struct pf_state_listener listeners[PF_STATE_LISTENERS_MAX];
    unsigned file_count;
    struct pf_state_file files[PF_STATE_FILES_MAX];
    unsigned waiter_count;
    struct pf_state_waiter waiters[PF_STATE_WAITERS_MAX];

    unsigned worker_count;
    unsigned worker_capacity;        /* of the table below */
    struct pf_state_worker *workers; /* the caller's, on writing and on reading */
};

/* No descriptors, nobody. The table of workers is kept. */
void pf_state_init(struct pf_state *s);

/* Bytes that the text of a state with so many workers may have. */
size_t pf_state_bytes(unsigned workers);

/* Write it into buffer (borrowed) as text. 0 or -ENOSPC. *s is only read. */
PF_MUST_USE int pf_state_print(struct pf_state *s, char *buffer, size_t bytes,
                               size_t *ret_length);

/* The same, and from there into a sealed memfd, which the caller owns (close-on-exec). Or a
 * negative errno: no memory left. Allocates nothing. */
PF_MUST_USE int pf_state_seal(struct pf_state *s, char *buffer, size_t bytes);

/* Read a text, which is changed. More of anything than there is room for is an error. 0, or
 * a negative errno with the sentence. */
PF_MUST_USE int pf_state_parse(struct pf_state *s, char *text, struct pf_error *error);

/* The same from a memfd (borrowed), if it is sealed. The table of workers is allocated, to
 * be given back by pf_state_free(), also after a failure. */
PF_MUST_USE int pf_state_open(struct pf_state *s, int fd, struct pf_error *error);
void pf_state_free(struct pf_state *s);

/* Call for each place of a descriptor in it. */
void pf_state_each_fd(struct pf_state *s, void (*visit)(void *context, int *fd),
                      void *context);

#endif
