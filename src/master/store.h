/* What is held for the next master, by the keeper or by the service manager. */
#ifndef PF_MASTER_STORE_H
#define PF_MASTER_STORE_H

#include "base/attr.h"
#include "link/state.h"
#include "link/stored.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pf_master;

/* What is stored of the worker in a slot. */
struct pf_stored_worker {
    uint64_t birth; /* 0: nothing */
    bool again;     /* a master before this one stored it: offer it once more */
    bool channel, wire, departures;
};

/* What is stored under the name of a file. */
struct pf_stored_file {
    char name[PF_STORED_NAME_BYTES];
    int fd;
};

struct pf_store {
    int fd;         /* -1: there is no store */
    bool is_keeper; /* or it is the service manager's, and fd is the herald's */
    bool said_ready, said_stopping;
    uint32_t log_mark; /* of the sink that the keeper writes to */
    uint64_t number;   /* of the state that was stored last; 0: none */
    uint64_t oldest;   /* number of the first one that may still be there */
    uint64_t births;   /* as of then ... */
    uint64_t ends;
    unsigned listener_count;
    uint64_t ends_now; /* workers that were reaped so far */
    bool pending;      /* not all of it was taken */
    bool withdrawn;    /* what the next service must not get back is removed */

    /* What is stored (offer.c). */
    int fds[PF_STATE_FD_COUNT_OF];
    bool again; /* a master before this one stored what follows */
    unsigned lent_count;
    unsigned lent[PF_STATE_LISTENERS_MAX]; /* listeners, by their numbers */
    unsigned file_count;
    struct pf_stored_file files[PF_STATE_FILES_MAX];
    struct pf_stored_worker *workers; /* by slot */
    unsigned capacity;                /* of that table, and of the state's */
    uint64_t stray, last_stray; /* births after the one and up to the other: workers that
                                   no state names */

    struct pf_state *state; /* as it is written */
    struct pf_state_worker *table;
    char *buffer;
    size_t buffer_bytes;
};

#define PF_STORE_NONE ((struct pf_store){.fd = -1})

/* Room for descriptors that so many workers, and all else, need. */
unsigned pf_store_room(unsigned capacity);

/* keeper: the socket to it (borrowed), or -1. Otherwise, if wanted, the service manager
 * that the herald speaks to is asked. What setup.from says is stored is replaced and
 * removed as the rest. 0 or -ENOMEM. Closing accepts a store that failed to open. */
PF_MUST_USE int pf_store_open(struct pf_master *m, int keeper, bool wanted);
void pf_store_close(struct pf_store *s);

/* At the end of each turn: store what is new, remove what is gone, and say how we are.
 * Nothing is done while nothing changes. What is not taken is offered again. */
void pf_master_store(struct pf_master *m);

/* Who holds it is gone: go on without. */
void pf_master_lose_store(struct pf_master *m);

#endif
