/* The keeper: the process that was started stays, gives birth to the master, and holds what
 * it owns, so that there can be another one if it dies. */
#ifndef PF_KEEPER_KEEPER_H
#define PF_KEEPER_KEEPER_H

#include "base/attr.h"
#include "base/error.h"
#include "base/time.h"

/* Names on the shelf with a meaning of their own. What a master is executed from (as
 * link/stored.c has it); and not kept, but where lines of the log go from now on, with the
 * mark of that behind it. */
#define PF_KEEPER_EXECUTABLE "prefork.exe"
#define PF_KEEPER_LOG        "prefork.log."

struct pf_keeper_setup {
    const char *name;     /* of the server; borrowed */
    unsigned capacity;    /* descriptors that can be kept */
    pf_time stop_timeout; /* workers that have no master and shall end: to leave by ... */
    pf_time kill_timeout; /* ... themselves, and after SIGTERM */
    /* In the keeper, first of all: let go of what is the master's alone. */
    void (*forget)(void *context);
    /* In the keeper, once the server is ready: become who runs it, leave the terminal. 0,
     * or a negative errno with the sentence. */
    int (*settle)(void *context, struct pf_error *error);
    void *context;
};

/* Fork. The calling process is the keeper from now on, does not return, and ends as the
 * master does. The child returns with 0 and its end of the socket pair, by which it speaks
 * to the keeper (os/notify.h); the caller owns it. Refused: a negative errno with the
 * sentence, and there is no child. */
PF_MUST_USE int pf_keeper_start(const struct pf_keeper_setup *setup, int *ret_fd,
                                struct pf_error *error);

/* That descriptor in a master that was executed by a keeper; -1: this is none. The variable
 * PREFORK_KEEPER is removed from the environment. */
int pf_keeper_join(void);

#endif
