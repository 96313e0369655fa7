/* Reading a pid file: what number is in it, and who holds its lock. */
#ifndef PF_OS_PIDFILE_H
#define PF_OS_PIDFILE_H

#include "base/attr.h"

#include <sys/types.h>

/* Open the file for reading, without waiting and without any effect on it. The descriptor,
 * or a negative errno: -ELOOP a symbolic link, -EISDIR a directory, -ENOTSUP something else
 * that is no regular file. */
PF_MUST_USE int pf_pidfile_open(const char *path);

/* Open or make it (mode 0644), for reading and writing, and lock it (flock(2)); never
 * through a symbolic link. The descriptor, or a negative errno; -EWOULDBLOCK: somebody has
 * locked it. */
PF_MUST_USE int pf_pidfile_open_locked(int directory, const char *name);

enum pf_pidfile_content {
    PF_PIDFILE_EMPTY = 1,
    PF_PIDFILE_GARBAGE, /* anything but one number of a process and a newline */
};

/* The number in it: 0 and *ret_pid, an enum pf_pidfile_content, or a negative errno. */
PF_MUST_USE int pf_pidfile_read(int fd, pid_t *ret_pid);

/* Who took the lock (flock(2)) that lies on the file: 0 and the pid of that process as seen
 * from here, *ret_pid 0 if nobody did who can be seen from here; or a negative errno if the
 * kernel does not say. Takes no lock. */
PF_MUST_USE int pf_pidfile_holder(int fd, pid_t *ret_pid);

#endif
