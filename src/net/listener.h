/* Listening sockets: from an endpoint to descriptors that accept, or are bound for
 * datagrams, and back.
 *
 * A struct pf_listeners is a fixed table that the master fills at start, before the
 * first fork; workers inherit it and only read it. Descriptors are close-on-exec and
 * non-blocking (a worker's accept must not block when a sibling was faster); the wait
 * handler shape clears both for its program. */
#ifndef PF_NET_LISTENER_H
#define PF_NET_LISTENER_H

#include "base/attr.h"
#include "base/error.h"
#include "base/time.h"
#include "net/endpoint.h"
#include "net/path.h"

#include <stdbool.h>
#include <sys/socket.h>

union pf_target_address;

enum {
    PF_LISTENERS_MAX = 64,
    PF_LISTENER_TEXT_BYTES = 160,
};

struct pf_listener {
    int fd;
    unsigned id; /* never that of another one, also in masters after this one */
    int family;  /* AF_INET, AF_INET6, AF_UNIX */
    enum pf_proto proto;
    const struct pf_endpoint *endpoint; /* what it was opened for; borrowed; NULL: handed
                                           in, and no port asks for it */
    unsigned shard;                     /* which of the sockets of its address, from 0 */
    bool inherited; /* handed in from outside: never shut down, never unlinked */
    bool lent;      /* somebody outside keeps it for the next start: likewise */
    bool v6only;
    bool wildcard;                        /* bound to all addresses of the machine */
    bool any_port;                        /* its endpoint left the number to the kernel */
    char address[PF_LISTENER_TEXT_BYTES]; /* "127.0.0.1:8080", "[::1]:80", "/run/x.sock" */
    struct pf_path_file file; /* of a unix socket we made: unlinked when it is shut */

    /* While the master before this one may come back (net/handed.h). */
    bool staged; /* its file is beside its path, where one of another type still is */
    bool beside; /* bound while one of ours, handed over, was in its way */
    bool held;   /* bound, and listens from the commit on */
    struct {
        unsigned place; /* in the table of the master before this one, from 1; 0: new */
        enum pf_proto proto;
        bool any_port;
        bool shared; /* SO_REUSEPORT */
    } before;
};

struct pf_listeners {
    unsigned count; /* what the server listens on, in the order of the settings */
    struct pf_listener table[PF_LISTENERS_MAX];

    /* Taken over from the master before this one, and nobody has asked for it yet: no new
     * worker listens there. In the order of that master's table. */
    unsigned handed_count;
    struct pf_listener handed[PF_LISTENERS_MAX];

    unsigned adopted; /* how many were handed over */
    bool given_back;  /* they are not this master's any more: nothing of them is shut */
    bool committed;   /* what nobody has asked for may be closed, when it is drained ... */
    pf_time begun_by; /* ... and handshakes that began before are over */
    unsigned next_id;

    bool rehearsal; /* to find out whether it can be done: nobody is let in */
};

/* Where the text of a listener came to be changed, told to the person who starts the
 * server ("no IPv6 here: listening on 0.0.0.0:80 only"). */
typedef void pf_listener_note(void *context, const char *text);

/* Open every socket that the endpoint means and append it to *ls. Sockets in *ls that
 * were inherited and match one of them are used instead of a new one; endpoint is borrowed
 * for as long as they are; an address
 * already in *ls is skipped (said through note, which may be NULL). Port 0 on several
 * addresses gets the same number on all.
 *
 * What was handed over is used where it is just what is asked for: the same address and
 * kind of socket, for a unix socket the same file, for one of several shards the same
 * number. The n-th endpoint with port 0 on an address gets the number that it had. Nothing
 * of such a socket changes before pf_listeners_commit() (net/handed.h); whether its file
 * may be given another mode and owner is seen here.
 *
 * 0, or a negative errno with the sentence in error (what, where, what to do); then
 * nothing of this endpoint stays open, and what was handed over is as it was. A path that
 * exists is replaced only if it is a socket nobody answers on. */
PF_MUST_USE int pf_listeners_open(struct pf_listeners *ls,
                                  const struct pf_endpoint *endpoint,
                                  pf_listener_note *note, void *context,
                                  struct pf_error *error);

/* What a listener is bound to (net/target.h). 0 or a negative errno. */
PF_MUST_USE int pf_listener_bound(const struct pf_listener *l,
                                  union pf_target_address *ret_address,
                                  socklen_t *ret_length);

/* True if the kernel would not have bound the second of them for a stranger. */
bool pf_listeners_collide(const struct pf_listener *a, const struct pf_listener *b);

/* Fill in family, v6only, wildcard and address of *l from its descriptor. 0 or a negative
 * errno, then *l is untouched. */
PF_MUST_USE int pf_listener_learn(struct pf_listener *l);

/* What the kernel calls it: its address, but for a unix socket that took over its path,
 * which keeps the name that it was bound to. "" if it cannot be asked. */
void pf_listener_name(const struct pf_listener *l, char *buffer, size_t size);

/* The port number a listener really has (port 0 is known by now); 0 for unix. */
unsigned pf_listener_port(const struct pf_listener *l);

/* Connections and datagrams that wait where the server listens, together: a hint. A
 * listener that cannot be asked counts as 0. */
unsigned pf_listeners_queued(const struct pf_listeners *ls);

/* No new connection from here on: shutdown(2) on the sockets that are ours, so that
 * clients are refused at once although busy workers still hold the descriptors. (A UDP
 * port stays bound until the last of them is gone: datagrams still come in there, and
 * nobody reads them.) Paths we made are unlinked. Inherited sockets are left alone: they
 * belong to who made them. */
void pf_listeners_shut(struct pf_listeners *ls);

/* Is one of them from outside, and so stands for a port that nobody set? */
bool pf_listeners_are_inherited(const struct pf_listeners *ls);

/* The listener with this number, or NULL: it is no more. */
const struct pf_listener *pf_listener_find(const struct pf_listeners *ls, unsigned id);

/* Append *l with a number of its own. False: there is no room. */
PF_MUST_USE bool pf_listeners_add(struct pf_listeners *ls, const struct pf_listener *l);

/* Remove its file, if it has one that is still ours. */
void pf_listener_unlink(struct pf_listener *l);

/* The same as pf_listeners_shut() for one of them that is ours. */
void pf_listener_shut(struct pf_listener *l);

/* Connections and datagrams that wait there, or a negative errno: the kernel cannot be
 * asked. */
int pf_listener_queued(const struct pf_listener *l);

/* Close all descriptors of this process, also of what was handed over; *ls is empty
 * afterwards. Unlinks nothing. */
void pf_listeners_close(struct pf_listeners *ls);

#endif
