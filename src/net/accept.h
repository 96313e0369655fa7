/* Taking one connection from a listener, and what to make of each way it can fail. */
#ifndef PF_NET_ACCEPT_H
#define PF_NET_ACCEPT_H

#include "base/attr.h"

#include <sys/socket.h>

/* Outcomes of pf_accept() that its caller handles. */
enum pf_accept_outcome {
    PF_ACCEPT_E_NONE = 1, /* nobody is waiting any more, or the client is gone again */
    PF_ACCEPT_E_PAUSE,    /* the system is out of something: try again in a while */
    PF_ACCEPT_E_CLOSED,   /* this listener will never give a connection again */
};

/* accept4(2): 0 and the connected socket (blocking, close-on-exec; given) with the peer's
 * address, or an outcome of enum pf_accept_outcome, with the errno behind it. */
PF_MUST_USE int pf_accept(int listener, int *ret_fd, struct sockaddr_storage *ret_peer,
                          socklen_t *ret_peer_bytes, int *ret_errnum);

#endif
