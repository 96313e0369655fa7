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
#include "net/endpoint.h"
#include "net/path.h"

#include <stdbool.h>
#include <sys/socket.h>

enum {
    PF_LISTENERS_MAX = 64,
    PF_LISTENER_TEXT_BYTES = 160,
};

struct pf_listener {
    int fd;
    int family; /* AF_INET, AF_INET6, AF_UNIX */
    enum pf_proto proto;
    const struct pf_endpoint *endpoint; /* what it was opened for; borrowed; NULL: handed
                                           in, and no port asks for it */
    unsigned shard;                     /* which of the sockets of its address, from 0 */
    bool inherited; /* handed in from outside: never shut down, never unlinked */
    bool v6only;
    bool wildcard;                        /* bound to all addresses of the machine */
    char address[PF_LISTENER_TEXT_BYTES]; /* "127.0.0.1:8080", "[::1]:80", "/run/x.sock" */
    struct pf_path_file file; /* of a unix socket we made: unlinked when it is shut */
};

struct pf_listeners {
    unsigned count;
    struct pf_listener table[PF_LISTENERS_MAX];
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
 * 0, or a negative errno with the sentence in error (what, where, what to do); then
 * nothing of this endpoint stays open. A path that exists is replaced only if it is a
 * socket nobody answers on. */
PF_MUST_USE int pf_listeners_open(struct pf_listeners *ls,
                                  const struct pf_endpoint *endpoint,
                                  pf_listener_note *note, void *context,
                                  struct pf_error *error);

/* Fill in family, v6only, wildcard and address of *l from its descriptor. 0 or a negative
 * errno, then *l is untouched. */
PF_MUST_USE int pf_listener_learn(struct pf_listener *l);

/* The port number a listener really has (port 0 is known by now); 0 for unix. */
unsigned pf_listener_port(const struct pf_listener *l);

/* Connections and datagrams that wait, all listeners together: a hint. A listener that
 * cannot be asked counts as 0. */
unsigned pf_listeners_queued(const struct pf_listeners *ls);

/* No new connection from here on: shutdown(2) on the sockets that are ours, so that
 * clients are refused at once although busy workers still hold the descriptors. (A UDP
 * port stays bound until the last of them is gone: datagrams still come in there, and
 * nobody reads them.) Paths we made are unlinked. Inherited sockets are left alone: they
 * belong to who made them. */
void pf_listeners_shut(struct pf_listeners *ls);

/* Close all descriptors of this process; *ls is empty afterwards. Unlinks nothing. */
void pf_listeners_close(struct pf_listeners *ls);

#endif
