/* Asking a running server to reload, or to restart its workers, and hearing how it ended.
 */
#ifndef PF_CONTROL_ASKING_H
#define PF_CONTROL_ASKING_H

#include "base/attr.h"
#include "base/text.h"
#include "base/time.h"
#include "link/request.h"

#include <stdbool.h>

/* Ask the server that runs with this pid file, and wait until it has agreed, or (wait)
 * until it is done, for at most timeout (PF_NEVER: without a limit). Without wait, and if
 * it has no control socket here, it is sent the signal that means the same.
 *
 * 0; another enum prefork_pidfile; an enum prefork_asked; or a negative errno: -EPERM,
 * -ETIMEDOUT, -ECONNREFUSED (no control socket, and wait), -EPROTONOSUPPORT. what is the
 * sentence in each case. */
PF_MUST_USE int pf_asking(const char *path, enum pf_request_kind kind, bool wait,
                          pf_time timeout, struct pf_text *what);

#endif
