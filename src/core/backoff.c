/* Pauses that double, with jitter.
 *
 * A streak of n failures, f of them forgiven, pauses for first * 2^(n-f-1), at most
 * longest, plus or minus a quarter. A crash of one worker in a healthy pool costs
 * nothing; a program that cannot start is tried at a rate that falls to one per
 * `longest`. */
#include "core/backoff.h"

static pf_time
pause_of(const struct pf_backoff *b)
{
    pf_time pause = b->first;

    for (unsigned n = b->forgiven + 1; n < b->streak && pause < b->longest; n++)
        pause *= 2;
    return pf_time_earlier(pause, b->longest);
}

static pf_time
jittered(pf_time pause, uint32_t random)
{
    return pause - pause / 4 + pause / 2 * (pf_time)(random >> 16) / 65536;
}

void
pf_backoff_fail(struct pf_backoff *b, pf_time now, uint32_t random)
{
    b->streak++;
    b->next_at =
        pf_backoff_cautious(b) ? pf_time_after(now, jittered(pause_of(b), random)) : now;
}

void
pf_backoff_succeed(struct pf_backoff *b)
{
    b->streak = 0;
    b->next_at = 0;
}

bool
pf_backoff_may_try(const struct pf_backoff *b, pf_time now)
{
    return b->streak == 0 || now >= b->next_at;
}

bool
pf_backoff_cautious(const struct pf_backoff *b)
{
    return b->streak > b->forgiven;
}
