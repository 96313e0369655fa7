/* Listening sockets that one master hands to the next (docs/notes/0010).
 *
 *     pf_listeners_adopt()        each of them, before pf_listeners_open()
 *     pf_listeners_open()         takes from them what the settings ask for
 *     pf_listeners_forget_handed() in each new worker
 *     then either
 *     pf_listeners_commit()       the new settings hold
 *     pf_listeners_retire()       and the rest is closed, when it is drained
 *     or
 *     pf_listeners_give_back()    the table is again what was handed over
 *
 * Until the commit nothing changes at a socket that is in service: not its file, not its
 * options, and no other one takes a share of its clients. */
#ifndef PF_NET_HANDED_H
#define PF_NET_HANDED_H

#include "base/attr.h"
#include "base/error.h"
#include "base/time.h"
#include "net/listener.h"

#include <stdbool.h>
#include <sys/types.h>

/* After the commit: how long queues of what nobody asked for may take to become empty, and
 * handshakes to end. Less than the second after which a client whose first packet was not
 * answered tries again. */
#define PF_HANDED_EMPTYING (900 * PF_MILLISECOND)

/* A listener, as one master describes it to the next. */
struct pf_listener_handed {
    int fd;
    unsigned id;
    enum pf_proto proto;
    unsigned shard;
    bool inherited; /* from outside, and not from a master before */
    bool any_port;
    dev_t dev; /* of the file of a unix socket that is ours; 0: none */
    ino_t ino;
    const char *address; /* borrowed; counts for paths, which the kernel may not know */
};

/* The description of a listener; its address is borrowed from *l. */
struct pf_listener_handed pf_listener_describe(const struct pf_listener *l);

/* Take one over; h->fd is close-on-exec and non-blocking then. Those that are not from
 * outside wait for an endpoint that asks for them; the others are in service as after a
 * start. (One of these that was inherited anew is the same, and h->fd is closed.) 0, or a
 * negative errno with the sentence in error: the descriptor is not what is said of it. */
PF_MUST_USE int pf_listeners_adopt(struct pf_listeners *ls,
                                   const struct pf_listener_handed *h,
                                   struct pf_error *error);

/* In a new worker: close what nobody asked for. */
void pf_listeners_forget_handed(struct pf_listeners *ls);

/* The settings hold from here on: sockets that were taken over get backlog, broadcast, mode
 * and owner (a mode or owner that is no longer set stays as it is); further shards of them
 * begin to listen; a unix socket of another type takes over its path, in one step. What
 * cannot be done any more is said through note.
 *
 * No new client gets in at what nobody asked for: paths are removed, and the first packet
 * of a TCP connection is no longer answered, so that the client tries again a second
 * later and is refused, or finds who has taken over its address. (To refuse at once would
 * throw away who waits in the queue.) So these queues only get shorter, while workers of
 * the master before still accept there; handshakes under way may still be added. UDP goes
 * on until the end. */
void pf_listeners_commit(struct pf_listeners *ls, pf_time now, pf_listener_note *note,
                         void *context);

/* After the commit: close what nobody asked for and is drained, for all processes that
 * have it, or with `all` everything: then who waits there is reset. Drained is what has an
 * empty queue, and TCP not before PF_HANDED_EMPTYING is over; of what the kernel cannot be
 * asked nobody knows. Gives the number of those that are left, which have to be served on
 * by workers of the master before. Before the commit that is all of them. */
unsigned pf_listeners_retire(struct pf_listeners *ls, pf_time now, bool all);

/* Before the commit: close what this master opened, remove its paths. The table is then
 * that of the master before, in its order, each listener with its protocol, and options as
 * they were. pf_listeners_shut() does nothing to them from here on, since whoever comes
 * back serves there; pf_listeners_close() closes this process's descriptors. */
void pf_listeners_give_back(struct pf_listeners *ls);

/* ---- for net/opening.c ----------------------------------------------------------------
 */

struct pf_target;

/* The entry that is just what is asked for: a socket for this protocol, bound to t, with
 * this number among the shards. For port 0 any port will do that was given for one. -1:
 * there is none. */
int pf_handed_find(const struct pf_listeners *ls, enum pf_proto proto,
                   const struct pf_target *t, unsigned shard);

/* Share sockets at this port with others for now, or as before. False: there are none. */
bool pf_handed_share(const struct pf_listeners *ls, enum pf_proto proto, unsigned port,
                     bool on);

/* Take entry i of what was handed over out of that table, into *ret_listener. */
void pf_handed_take(struct pf_listeners *ls, unsigned i, struct pf_listener *ret_listener);

/* l, which has left the table of what the server listens on: back to what was handed over,
 * as it was, or closed, and its path removed, if it is of this master. */
void pf_handed_let_go(struct pf_listeners *ls, struct pf_listener *l);

#endif
