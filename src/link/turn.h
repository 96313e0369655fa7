/* Whose turn it is to accept: `serialize`, for those who want one worker at a time to wait
 * for connections.
 *
 * Nobody blocks for his turn. A worker tries for it; if somebody else has it, the worker
 * waits for the bell, which whoever gives the turn back rings, together with its channel.
 * So a worker that waits for its turn can still be asked to leave.
 *
 * A worker that dies with the turn does not keep it: a file lock and a robust mutex are
 * released by the kernel, the token of a pipe is replaced by the master, and the master
 * rings the bell. */
#ifndef PF_LINK_TURN_H
#define PF_LINK_TURN_H

#include "base/attr.h"
#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

enum pf_turn_kind {
    PF_TURN_NONE,      /* everybody waits at once */
    PF_TURN_FLOCK,     /* a record lock on a file, fcntl(2) */
    PF_TURN_SEMAPHORE, /* a robust mutex in shared memory */
    PF_TURN_PIPE,      /* a token in a pipe */
};

struct pf_turn_memory;

/* Copied into every worker. */
struct pf_turn {
    enum pf_turn_kind kind;
    int bell;      /* eventfd(2): somebody gave the turn back; borrowed in workers */
    int file;      /* FLOCK: the file; PIPE: where the token is read */
    int token_end; /* PIPE: where it is written */
    struct pf_turn_memory *memory; /* shared */
};

/* In the master, before it gives up root. lock_file: for FLOCK; it is created if it is not
 * there and never written to; NULL: memory without a name. 0, or a negative errno with the
 * sentence in error; close accepts a turn whose open failed. Nothing is left behind when
 * everybody who had it ended, however they did. */
PF_MUST_USE int pf_turn_open(struct pf_turn *t, enum pf_turn_kind kind,
                             const char *lock_file, struct pf_error *error);
void pf_turn_close(struct pf_turn *t);

/* In a worker that does not have it: true if it has it now. */
bool pf_turn_take(struct pf_turn *t);

/* In a worker that has it. */
void pf_turn_give(struct pf_turn *t);

/* In the master: this process ended, maybe with the turn, maybe having been woken for it.
 */
void pf_turn_mend(struct pf_turn *t, pid_t dead);

#endif
