/* The control socket: who asks this master for something, and hears how it ended. */
#ifndef PF_MASTER_CONTROL_H
#define PF_MASTER_CONTROL_H

#include "base/time.h"
#include "link/state.h"

#include <stdbool.h>
#include <stdint.h>

struct pf_master;

struct pf_control_client {
    int fd;           /* -1: nobody */
    uint64_t number;  /* waits for the end of this one; 0: has not asked yet */
    pf_time speak_by; /* or is closed; PF_NEVER: has spoken */
};

struct pf_control {
    int listener;         /* -1: there is no control socket */
    pf_time paused_until; /* nobody is let in before; PF_NEVER: no pause */
    struct pf_control_client clients[PF_STATE_WAITERS_MAX];
};

/* There is no control socket yet; pf_control_close() accepts that. */
void pf_control_init(struct pf_control *c);

/* Open it. That it cannot be opened is a warning: signals reach the server all the same. */
void pf_control_open(struct pf_master *m);

/* Close all descriptors: at the end, and in a new worker. Clients are not told anything. */
void pf_control_close(struct pf_control *c);

/* Somebody knocks; the client with this index said something, or went. */
void pf_control_greet(struct pf_master *m);
void pf_control_hear(struct pf_master *m, unsigned index);

/* What time and the end of the server do to clients; sets the master's deadline. At the end
 * of each turn. */
void pf_control_tend(struct pf_master *m);

/* The reload or restart of this number has ended (ok: it was done; otherwise what ran
 * before goes on), and with it those of lower numbers. text is the sentence for those who
 * wait. Not from within pf_master_ask_reload() or pf_master_ask_restart(): who asks there
 * does not wait yet. */
void pf_control_tell(struct pf_master *m, uint64_t number, bool ok, const char *text);

/* For the next master in this process: the listening socket, or -1; all clients, and what
 * they wait for (0: nothing yet). Not consumed. How many there are. */
int pf_control_listener_fd(const struct pf_master *m);
unsigned pf_control_waiters(const struct pf_master *m, int fds[PF_STATE_WAITERS_MAX],
                            uint64_t numbers[PF_STATE_WAITERS_MAX]);

/* In the next master, instead of pf_control_open(): all of that is ours. Consumed; one that
 * listens under another name than ours is closed, and our own opened. */
void pf_control_adopt(struct pf_master *m, int listener, const int fds[],
                      const uint64_t numbers[], unsigned count);

#endif
