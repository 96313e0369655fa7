/* Which sockets a process has open, as /proc tells. */
#ifndef PF_OS_HOLDER_H
#define PF_OS_HOLDER_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Call found() with the inode of each socket that process pid has open, until it returns
 * false. At most 4096 descriptors are looked at. 0 or a negative errno: -EACCES, it may not
 * be looked at; -ENOENT, it is gone or hidden. */
PF_MUST_USE int pf_holder_sockets(pid_t pid, bool (*found)(void *context, uint64_t inode),
                                  void *context);

/* Call member() with each process that there is and the group it is in, until it returns
 * false. At most 32768 are looked at; none where there is no /proc. */
void pf_holder_processes(bool (*member)(void *context, pid_t pid, pid_t group),
                         void *context);

#endif
