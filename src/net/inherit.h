/* Descriptors handed in by a service manager, or by a keeper (sd_listen_fds(3)). */
#ifndef PF_NET_INHERIT_H
#define PF_NET_INHERIT_H

#include "net/listener.h"

/* What was stored for this server by its name, such as "prefork.state.7" (docs/notes/0010);
 * fd is close-on-exec and the callee's from here on. The name is borrowed for the call. 0,
 * or a negative errno with the sentence in error. */
typedef int pf_inherit_stored(void *context, const char *name, int fd,
                              struct pf_error *error);

/* Take over what LISTEN_FDS promises, if LISTEN_PID names this process. A descriptor whose
 * name in LISTEN_FDNAMES begins with "prefork." goes to `stored`, which may be NULL: then
 * it is closed. (One that ends with ".socket" is named after a unit of systemd, and is a
 * socket like the others.) All others are appended to *ls as inherited. The variables
 * LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES are removed from the environment in any case.
 *
 * Number of sockets taken (0 when there are none), or a negative errno with the sentence
 * in error: a number that makes no sense, a descriptor that is neither a listening
 * stream socket nor a bound datagram socket. */
PF_MUST_USE int pf_inherit_listen_fds(struct pf_listeners *ls, pf_inherit_stored *stored,
                                      void *context, struct pf_error *error);

/* Take over a listener (fd; consumed unless refused) of a master before this one, of which
 * nothing but the number is known. 0, or a negative errno with the sentence in error. */
PF_MUST_USE int pf_inherit_lone(struct pf_listeners *ls, int fd, unsigned id,
                                struct pf_error *error);

#endif
