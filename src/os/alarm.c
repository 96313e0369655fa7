/* timer_create(2), on the clock that all deadlines are about.
 *
 * Not alarm(2) or setitimer(2), of which a process has but one, and that may be the
 * program's; and not SIGALRM: whoever takes the signal can tell a timer's from a person's
 * (os/signal.h), so no signal has to be given up for it. */
#include "os/alarm.h"

#include <errno.h>
#include <signal.h>

int
pf_alarm_open(struct pf_alarm *a, int signum)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signum};

    if (timer_create(CLOCK_MONOTONIC, &event, &a->timer) < 0)
        return -errno;
    a->is_open = true;
    return 0;
}

void
pf_alarm_close(struct pf_alarm *a)
{
    bool was_open = a->is_open;

    a->is_open = false; /* also for a handler that sets it now */
    if (was_open)
        (void)timer_delete(a->timer);
}

/* A moment of 0 would switch the timer off, and is as good as the next one. */
void
pf_alarm_set(struct pf_alarm *a, pf_time at)
{
    struct itimerspec when = {0};

    if (at != PF_NEVER) {
        at = at > 0 ? at : 1;
        when.it_value.tv_sec = (time_t)(at / PF_SECOND);
        when.it_value.tv_nsec = (long)(at % PF_SECOND) * 1000;
    }
    if (a->is_open)
        (void)timer_settime(a->timer, TIMER_ABSTIME, &when, NULL);
}
