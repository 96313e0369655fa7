/* A page of a file, in memory, that others may cut away without harm. */
#ifndef PF_OS_GUARD_H
#define PF_OS_GUARD_H

#include "base/attr.h"

#include <stddef.h>

/* Map page index of the file fd, shared and writable; fd may be closed afterwards. When the
 * file is shorter than that one day, or its disk fails, what is written there is lost and
 * nothing else happens: SIGBUS is handled from here on, for faults inside of this page
 * alone. One page of a process is guarded: the last one. NULL: no memory left. */
PF_MUST_USE void *pf_guard_page(int fd, size_t index);

#endif
