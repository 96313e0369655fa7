/* What became of connections: latencies of the good ones, the others by the step at which
 * they failed and its errno. */
#ifndef BENCH_TALLY_H
#define BENCH_TALLY_H

#include "histogram.h"

/* The steps of a connection; STEPS: none of them failed. */
enum step { OPEN, CONNECT, HANDSHAKE, SEND, RECEIVE, NO_ANSWER, SHORT_ANSWER, STEPS };

enum {
    TALLY_ERRNOS = 134,
};

/* All zero is empty. One writes; others may read meanwhile. */
struct tally {
    struct histogram latencies; /* microseconds of the good ones */
    atomic_ulong good;
    atomic_ulong failures[STEPS][TALLY_ERRNOS];
};

/* One more is over. error: 0 if the step has none; ETIMEDOUT is told as "timeout".
 * latency: microseconds, of a good one. */
void tally_add(struct tally *t, enum step step, int error, unsigned long latency);

void tally_merge(struct tally *into, const struct tally *from);

/* The inside of an object of JSON:
 *
 *   "connections": 52, "answered": 51, "failed": 1, "failures": {"connect ECONNREFUSED":
 * 1}, "p50": 310, "p90": 400, "p99": 900, "p99.9": 1100, "max": 1200 */
void tally_print(const struct tally *t);

#endif
