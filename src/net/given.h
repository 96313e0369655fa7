/* A descriptor that somebody else opened: is it one that a server can listen on? Internal
 * to net/. */
#ifndef PF_NET_GIVEN_H
#define PF_NET_GIVEN_H

#include "base/attr.h"
#include "base/error.h"
#include "net/listener.h"

/* Look at the descriptor that l->fd names, make it close-on-exec and non-blocking, and fill
 * in protocol (as far as the kernel knows it), family, v6only, wildcard and address.
 *
 * 0, or a negative errno with the sentence in error, which begins with `from`: it is not
 * open, no socket, neither listens nor is bound. */
PF_MUST_USE int pf_given_learn(struct pf_listener *l, const char *from,
                               struct pf_error *error);

#endif
