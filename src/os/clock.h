/* What time it is. */
#ifndef PF_OS_CLOCK_H
#define PF_OS_CLOCK_H

#include "base/time.h"

/* Now, to the microsecond. */
pf_time pf_clock_now(void);

/* Now, to the scheduler's tick (a few milliseconds); several times cheaper. Never ahead of
 * pf_clock_now(). */
pf_time pf_clock_now_coarse(void);

#endif
