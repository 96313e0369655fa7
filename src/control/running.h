/* The server that a pid file is about, as seen by another process. */
#ifndef PF_CONTROL_RUNNING_H
#define PF_CONTROL_RUNNING_H

#include "base/attr.h"
#include "base/text.h"
#include "base/time.h"
#include "os/process.h"

#include <stdbool.h>

/* Find the server that runs with this pid file. 0 and *ret_server, whose pidfd is the
 * caller's; another enum prefork_pidfile; or a negative errno if it cannot be known. what
 * is the sentence in each case. Nothing is signalled, and nothing of a running server's is
 * disturbed. */
PF_MUST_USE int pf_running_find(const char *path, struct pf_process *ret_server,
                                struct pf_text *what);

/* Stop it: SIGTERM, or SIGQUIT if graceful, and wait for its end; SIGKILL if it lives
 * longer than timeout. A pid file that is left then is removed if nobody has it. 0: it is
 * gone; otherwise as pf_running_find(), or -EPERM, or -ETIMEDOUT: not even SIGKILL ended
 * it. */
PF_MUST_USE int pf_running_stop(const char *path, bool graceful, pf_time timeout,
                                struct pf_text *what);

#endif
