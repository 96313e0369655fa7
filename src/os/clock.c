/* The monotonic clock: it does not jump, and stands still while the machine sleeps, so
 * that nobody is overdue for time in which nobody ran. */
#include "os/clock.h"

#include <limits.h>
#include <time.h>

static pf_time
read_clock(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t); /* cannot fail for these clocks */
    return (pf_time)t.tv_sec * PF_SECOND + t.tv_nsec / 1000;
}

pf_time
pf_clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

pf_time
pf_clock_now_coarse(void)
{
    return read_clock(CLOCK_MONOTONIC_COARSE);
}

int64_t
pf_clock_epoch(void)
{
    return read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC);
}

int
pf_clock_milliseconds_until(pf_time deadline)
{
    pf_time left;

    if (deadline == PF_NEVER)
        return -1;
    left = deadline - pf_clock_now();
    if (left <= 0)
        return 0;
    left = (left + PF_MILLISECOND - 1) / PF_MILLISECOND;
    return left > INT_MAX ? INT_MAX : (int)left;
}
