/* One TCP or UDP socket at one address (net/listener.h makes listeners of them). Internal
 * to net/. */
#ifndef PF_NET_SOCKET_H
#define PF_NET_SOCKET_H

#include "base/attr.h"
#include "net/endpoint.h"
#include "net/target.h"

#include <stdbool.h>

/* How a socket gets along with others at its address. */
struct pf_socket_order {
    unsigned shard; /* from 0; the others join the first, which has to be shared by then */
    bool beside;    /* another socket of ours, shared for this moment, is in its way */
    bool held;      /* is bound and does not listen, so that no client comes to it */
};

/* A descriptor that listens, or is bound for datagrams (close-on-exec, streams
 * non-blocking; given); or a negative errno. */
PF_MUST_USE int pf_socket_open(const struct pf_endpoint *endpoint,
                               const struct pf_target *t,
                               const struct pf_socket_order *order);

/* Let others of this user be bound to the same address, or no more (SO_REUSEPORT). It
 * counts when the other one is bound and when it begins to listen. 0 or a negative errno.
 */
int pf_socket_share(int fd, bool on);
bool pf_socket_is_shared(int fd);

/* Let a UDP socket send to broadcast addresses, or no more. 0 or a negative errno. */
PF_MUST_USE int pf_socket_broadcast(int fd, bool on);

#endif
