/* Sockets handed in by start_server, of Server::Starter. */
#ifndef PF_NET_STARTER_H
#define PF_NET_STARTER_H

#include "net/listener.h"

/* Take over the sockets that SERVER_STARTER_PORT names and append them to *ls as inherited;
 * what *ls has already is not taken twice. The variable is removed from the environment in
 * any case. A socket among descriptors 0 to 2 moves above them, and the null device takes
 * its place.
 *
 * Number of sockets taken (0 when there are none), or a negative errno with the sentence
 * in error: a text that makes no sense, a descriptor that is neither a listening stream
 * socket nor a bound datagram socket. */
PF_MUST_USE int pf_starter_ports(struct pf_listeners *ls, struct pf_error *error);

/* Which of those that start_server has started this server is, counted from 1; 0: it was
 * started by somebody else. */
unsigned pf_starter_generation(void);

#endif
