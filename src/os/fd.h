/* Descriptors: closing them once, and their flags. */
#ifndef PF_OS_FD_H
#define PF_OS_FD_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

/* Close *fd if it is open (0 and up) and set it to -1. */
void pf_fd_close(int *fd);

/* 0 or a negative errno. */
PF_MUST_USE int pf_fd_set_nonblock(int fd, bool on);
int pf_fd_set_cloexec(int fd, bool on);

/* The null device, close-on-exec, or a negative errno. The caller owns it. */
PF_MUST_USE int pf_fd_open_null(void);

/* Keep the null device open, for pf_fd_open_null() where there is no /dev any more. 0 or a
 * negative errno. */
PF_MUST_USE int pf_fd_keep_null(void);

/* Open the null device as descriptors 0, 1 and 2 where the process was started without
 * them, so that no socket gets one of these numbers. */
void pf_fd_fill_stdio(void);

/* Let descriptors 0 and 1 be the null device. */
void pf_fd_null_stdio(void);

/* Started by inetd(8), descriptors 0, 1 and 2 are the client's connection: let 2 be the
 * null device then, for the log is not for clients. */
void pf_fd_spare_client(void);

/* Let the soft limit on open descriptors reach the hard one: the master needs a few per
 * worker. The limit as it was is kept for workers: pf_fd_limit_restore(). */
void pf_fd_limit_raise(void);
void pf_fd_limit_restore(void);

/* How many descriptors this process may have open now. */
unsigned pf_fd_limit(void);

/* What it was when the first master started, and in a master after it: it was this. */
void pf_fd_limit_at_start(uint64_t *ret_soft, uint64_t *ret_hard);
void pf_fd_limit_adopt(uint64_t soft, uint64_t hard);

#endif
