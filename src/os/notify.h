/* Telling the service manager how we are, and giving it descriptors to keep (sd_notify(3)).
 */
#ifndef PF_OS_NOTIFY_H
#define PF_OS_NOTIFY_H

#include "base/attr.h"
#include "base/time.h"

#include <limits.h>
#include <stddef.h>

enum {
    PF_NOTIFY_NOBODY = INT_MIN,
    PF_NOTIFY_FDS_MAX = 16, /* in one message */
};

/* Where NOTIFY_SOCKET leads: a socket, connected, close-on-exec and non-blocking. The
 * variables NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are removed from the environment,
 * or programs would speak for us. *ret_watchdog is how often we have to say that we are
 * alive, PF_NEVER: never. PF_NOTIFY_NOBODY: nobody wants to know; or a negative errno: it
 * leads nowhere, or to a kind of socket that is none of unix(7). */
PF_MUST_USE int pf_notify_open(pf_time *ret_watchdog);

/* One message of lines "NAME=value". 0 or a negative errno; -EAGAIN: not now. */
int pf_notify_send(int fd, const char *text);

/* The same with descriptors (not consumed) that the receiver gets copies of. Also
 * -ETOOMANYREFS: too many are under way. */
int pf_notify_send_fds(int fd, const char *text, const int *fds, unsigned count);

/* Keep these descriptors for a later process of the service, under this name; forget all
 * that have this name. As pf_notify_send_fds(). */
PF_MUST_USE int pf_notify_store(int fd, const char *name, const int *fds, unsigned count);
PF_MUST_USE int pf_notify_unstore(int fd, const char *name);

/* For whoever is told: the next message, as text that ends with a null byte, and the
 * descriptors that came along (the caller's, close-on-exec). 0 or a negative errno;
 * -EAGAIN: none now; -EPIPE: nobody is there to say anything any more. */
PF_MUST_USE int pf_notify_receive(int fd, char *text, size_t bytes,
                                  int fds[PF_NOTIFY_FDS_MAX], unsigned *ret_count);

#endif
