/* A deadline that comes as a signal, for a process that may be anywhere when it is due. */
#ifndef PF_OS_ALARM_H
#define PF_OS_ALARM_H

#include "base/attr.h"
#include "base/time.h"

#include <stdbool.h>
#include <time.h>

struct pf_alarm {
    timer_t timer;
    bool is_open;
};

/* An alarm that raises signum. A forked child has none. 0 or a negative errno. */
PF_MUST_USE int pf_alarm_open(struct pf_alarm *a, int signum);
void pf_alarm_close(struct pf_alarm *a);

/* Raise it at this moment, at once if that is over, PF_NEVER: not at all; instead of what
 * was set before. May be called in a signal handler. */
void pf_alarm_set(struct pf_alarm *a, pf_time at);

#endif
