/* Programs: found, started, waited for. */
#ifndef PF_OS_PROGRAM_H
#define PF_OS_PROGRAM_H

#include "base/attr.h"

#include <sys/types.h>

/* The path that execvp(3) would run for this name: 0 and the path (given), or a negative
 * errno: -ENOENT, -EACCES, ... */
PF_MUST_USE int pf_program_find(const char *name, char **ret_path);

/* Start a program and wait for its end: path with argv and environment, descriptors 0 and
 * 1 being fd. No signal is blocked there, and those that pf_signal_ignore() was called for,
 * and SIGPIPE, have their default. The program stays in this process's group. *running is
 * its pid while it lives and 0 otherwise, as seen by handlers of SIGTERM, SIGINT and
 * SIGQUIT, which may want to pass the signal on. Handlers have to be there before the first
 * program: one that is installed later might run in a child that has this process's memory.
 * 0 and the wait status, or the negative errno of what refused to start it. */
PF_MUST_USE int pf_program_run(const char *path, char *const argv[], char *const envp[],
                               int fd, volatile pid_t *running, int *ret_wait_status);

/* The two halves of it: start the program; wait for the end of the one that runs. */
PF_MUST_USE int pf_program_start(const char *path, char *const argv[], char *const envp[],
                                 int fd, volatile pid_t *running);
PF_MUST_USE int pf_program_finish(volatile pid_t *running, int *ret_wait_status);

#endif
