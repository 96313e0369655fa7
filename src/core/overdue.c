/* Deadlines of single workers.
 *
 * The moment a request began is the worker's own word. A wrong word can shorten or
 * lengthen only its own life; a moment in the future is taken as now. A worker that was
 * asked to leave still has request_timeout for the request it serves. An outdated one has
 * graceful_timeout for it as well, or the replacement would wait for the last of them. A
 * dequeue process may take its time: for it there is only what follows a SIGTERM. */
#include "core/overdue.h"

static bool
is_over(pf_time deadline, pf_time now, pf_time *at)
{
    if (now >= deadline)
        return true;
    *at = pf_time_earlier(*at, deadline);
    return false;
}

static bool
serves(const struct pf_slot *s)
{
    return s->told.busy && (s->life == PF_LIFE_BUSY || s->life == PF_LIFE_DRAINING);
}

/* Not before its birth, not in the future. */
static pf_time
began(const struct pf_slot *s, pf_time now)
{
    return s->told.since < s->born ? s->born : pf_time_earlier(s->told.since, now);
}

enum pf_step
pf_overdue_step(const struct pf_slot *s, const struct pf_policy *policy, pf_time now,
                enum pf_reason *ret_reason, pf_time *at)
{
    if (s->life == PF_LIFE_STOPPING && s->step == PF_STEP_TERM &&
        is_over(pf_time_after(s->signalled, policy->kill_timeout), now, at)) {
        *ret_reason = PF_REASON_STILL_THERE;
        return PF_STEP_KILL;
    }
    if (s->kind == PF_KIND_DEQUEUE)
        return PF_STEP_NONE;
    if ((s->life == PF_LIFE_STARTING || (s->life == PF_LIFE_DRAINING && !s->was_ready)) &&
        is_over(pf_time_after(s->born, policy->start_timeout), now, at)) {
        *ret_reason = PF_REASON_SLOW_START;
        return PF_STEP_TERM;
    }
    if (s->life == PF_LIFE_DRAINING && s->reason == PF_REASON_OUTDATED &&
        !policy->leave_children_open &&
        is_over(pf_time_after(s->asked, policy->graceful_timeout), now, at)) {
        *ret_reason = PF_REASON_SLOW_LEAVE;
        return PF_STEP_TERM;
    }
    if (serves(s) &&
        is_over(pf_time_after(began(s, now), policy->request_timeout), now, at)) {
        *ret_reason = PF_REASON_SLOW_REQUEST;
        return PF_STEP_TERM;
    }
    return PF_STEP_NONE;
}
