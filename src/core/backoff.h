/* When something that failed may be tried again: at once, then later and later.
 *
 * Used twice: for births after bad starts, and for fork(2) after it was refused. */
#ifndef PF_CORE_BACKOFF_H
#define PF_CORE_BACKOFF_H

#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct pf_backoff {
    unsigned streak;   /* failures in a row */
    unsigned forgiven; /* failures at the head of a streak that cause no pause */
    pf_time first;     /* the first pause; doubles with each further failure */
    pf_time longest;   /* no pause is longer, jitter apart */
    pf_time next_at;   /* not before this moment */
};

/* A failure now. random (any 32 bits) moves the pause by up to a quarter either way, so
 * that many masters on one sick machine do not try in step. */
void pf_backoff_fail(struct pf_backoff *b, pf_time now, uint32_t random);

/* It works: forget the streak. */
void pf_backoff_succeed(struct pf_backoff *b);

/* May it be tried now? If not, b->next_at says when. */
bool pf_backoff_may_try(const struct pf_backoff *b, pf_time now);

/* The streak is long enough to go step by step. */
bool pf_backoff_cautious(const struct pf_backoff *b);

#endif
