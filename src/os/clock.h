/* What time it is. */
#ifndef PF_OS_CLOCK_H
#define PF_OS_CLOCK_H

#include "base/time.h"

/* Now, to the microsecond. */
pf_time pf_clock_now(void);

/* Now, to the scheduler's tick (a few milliseconds); several times cheaper. Never ahead of
 * pf_clock_now(). */
pf_time pf_clock_now_coarse(void);

/* What has to be added to a pf_time to have microseconds since the epoch, as the system's
 * clock stands now. */
int64_t pf_clock_epoch(void);

/* For a wait that counts in milliseconds: those until the deadline, rounded up; -1:
 * PF_NEVER. */
int pf_clock_milliseconds_until(pf_time deadline);

#endif
