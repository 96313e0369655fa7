/* A bell: workers ring it, the master's wait hears it (eventfd(2)). */
#ifndef PF_OS_WAKE_H
#define PF_OS_WAKE_H

#include "base/attr.h"

/* A bell, non-blocking and close-on-exec, readable once rung; or a negative errno. */
PF_MUST_USE int pf_wake_open(void);

/* Ring. Never blocks; a bell that is ringing already stays rung. */
void pf_wake_ring(int fd);

/* Silence it. */
void pf_wake_hush(int fd);

#endif
