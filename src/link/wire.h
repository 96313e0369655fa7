/* The wire: a stream of the program's own between the master and one worker.
 *
 * With child_communication each worker has one, besides its channel. prefork puts nothing
 * on it and takes nothing from it. */
#ifndef PF_LINK_WIRE_H
#define PF_LINK_WIRE_H

#include "base/attr.h"

#include <stdbool.h>

/* Both ends, close-on-exec; the master's does not block. 0 or a negative errno. */
PF_MUST_USE int pf_wire_open(int *ret_master_end, int *ret_worker_end);

/* Bytes that can be read from this end. */
int pf_wire_unread(int fd);

/* The other end is closed, and all that came from there was read. */
bool pf_wire_is_over(int fd);

#endif
