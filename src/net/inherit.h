/* Sockets handed in by a service manager (sd_listen_fds(3)). */
#ifndef PF_NET_INHERIT_H
#define PF_NET_INHERIT_H

#include "net/listener.h"

/* Take over the sockets that LISTEN_FDS promises, if LISTEN_PID names this process, and
 * append them to *ls as inherited. The variables LISTEN_PID, LISTEN_FDS and
 * LISTEN_FDNAMES are removed from the environment in any case.
 *
 * Number of sockets taken (0 when there are none), or a negative errno with the sentence
 * in error: a number that makes no sense, a descriptor that is neither a listening
 * stream socket nor a bound datagram socket. */
PF_MUST_USE int pf_inherit_listen_fds(struct pf_listeners *ls, struct pf_error *error);

#endif
