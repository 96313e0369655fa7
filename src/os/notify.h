/* Telling the service manager how we are (sd_notify(3)). */
#ifndef PF_OS_NOTIFY_H
#define PF_OS_NOTIFY_H

#include "base/attr.h"
#include "base/time.h"

#include <limits.h>

enum {
    PF_NOTIFY_NOBODY = INT_MIN,
};

/* Where NOTIFY_SOCKET leads: a socket, connected, close-on-exec and non-blocking. The
 * variables NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are removed from the environment,
 * or programs would speak for us. *ret_watchdog is how often we have to say that we are
 * alive, PF_NEVER: never. PF_NOTIFY_NOBODY: nobody wants to know; or a negative errno: it
 * leads nowhere, or to a kind of socket that is none of unix(7). */
PF_MUST_USE int pf_notify_open(pf_time *ret_watchdog);

/* One message of lines "NAME=value". 0 or a negative errno; -EAGAIN: not now. */
int pf_notify_send(int fd, const char *text);

#endif
