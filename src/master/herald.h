/* What the service manager is told: ready, reloading, stopping, alive. */
#ifndef PF_MASTER_HERALD_H
#define PF_MASTER_HERALD_H

#include "base/time.h"

#include <stdbool.h>
#include <sys/types.h>

struct pf_master;

enum pf_herald_word {
    PF_HERALD_NOTHING,
    PF_HERALD_READY,
    PF_HERALD_RELOADING,
    PF_HERALD_STOPPING,
};

struct pf_herald {
    int fd;                   /* os/notify.h, the starting process owns it; -1: nobody
                                 wants to know */
    bool forked;              /* the manager started another process ... */
    pid_t main;               /* ... than this, whose end is that of the server */
    pf_time watchdog;         /* PF_NEVER: none; else said twice as often */
    pf_time next;             /* when it is due */
    bool reloading;           /* a reload has begun, and was not told yet */
    enum pf_herald_word said; /* last */
    unsigned workers;         /* of the status that was said last, and ... */
    unsigned most;
};

/* Before the process goes to the background. What is wrong with NOTIFY_SOCKET is told in
 * the log; nothing is refused for it. */
void pf_herald_open(struct pf_herald *h);
void pf_herald_close(struct pf_herald *h);

/* Say this word, once: for a server without a master's loop. Who does not take it does not
 * hear it. */
void pf_herald_say(const struct pf_herald *h, enum pf_herald_word word, pf_time now);

/* Say what has changed since the last time, and set the master's deadline for what is due
 * later. At the end of each turn. */
void pf_master_herald(struct pf_master *m);

#endif
