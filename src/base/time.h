/* The one time type: microseconds of the monotonic clock, or a span of them.
 *
 * Who wants to know what time it is asks os/clock.h; here is only arithmetic, which is
 * why decisions can be run on any clock. */
#ifndef PF_BASE_TIME_H
#define PF_BASE_TIME_H

#include <stdint.h>

typedef int64_t pf_time;

#define PF_MILLISECOND ((pf_time)1000)
#define PF_SECOND      ((pf_time)1000000)

/* Later than any moment the monotonic clock can name: "there is no deadline". */
#define PF_NEVER INT64_MAX

static inline pf_time
pf_time_earlier(pf_time a, pf_time b)
{
    return a < b ? a : b;
}

/* moment + span, where a span (or a moment) of PF_NEVER stays PF_NEVER. */
static inline pf_time
pf_time_after(pf_time moment, pf_time span)
{
    return span >= PF_NEVER - moment ? PF_NEVER : moment + span;
}

#endif
