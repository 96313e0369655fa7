/* What became of connections.
 *
 * A failure is told as "connect ECONNREFUSED": who looks for its reason needs the step and
 * the errno of it, and a sum without them says nothing. */
#include "tally.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const step_names[STEPS] = {[OPEN] = "socket",
                                              [CONNECT] = "connect",
                                              [HANDSHAKE] = "handshake",
                                              [SEND] = "send",
                                              [RECEIVE] = "receive",
                                              [NO_ANSWER] = "no answer",
                                              [SHORT_ANSWER] = "short answer"};

static const struct {
    const char *name;
    unsigned thousandths;
} quantiles[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"p99.9", 999}};

static void
add(atomic_ulong *to, unsigned long count)
{
    (void)atomic_fetch_add_explicit(to, count, memory_order_relaxed);
}

void
tally_add(struct tally *t, enum step step, int error, unsigned long latency)
{
    if (step != STEPS) {
        add(&t->failures[step][error < TALLY_ERRNOS ? error : 0], 1);
        return;
    }
    histogram_add(&t->latencies, latency);
    add(&t->good, 1); /* last: who sees it finds its latency */
}

void
tally_merge(struct tally *into, const struct tally *from)
{
    add(&into->good, atomic_load(&from->good));
    for (int step = 0; step < STEPS; step++) {
        for (int error = 0; error < TALLY_ERRNOS; error++)
            add(&into->failures[step][error], atomic_load(&from->failures[step][error]));
    }
    histogram_merge(&into->latencies, &from->latencies);
}

static const char *
error_name(int error)
{
    if (error == ETIMEDOUT)
        return "timeout";
    return error == 0 ? "" : strerrorname_np(error);
}

/* "KIND": COUNT, ...; returns how many failed. */
static unsigned long
print_failures(const struct tally *t)
{
    unsigned long all = 0;

    for (int step = 0; step < STEPS; step++) {
        for (int error = 0; error < TALLY_ERRNOS; error++) {
            unsigned long count = atomic_load(&t->failures[step][error]);
            if (count == 0)
                continue;
            (void)printf("%s\"%s%s%s\": %lu", all > 0 ? ", " : "", step_names[step],
                         error == 0 ? "" : " ", error_name(error), count);
            all += count;
        }
    }
    return all;
}

void
tally_print(const struct tally *t)
{
    unsigned long good = atomic_load(&t->good);
    unsigned long failed;

    (void)printf("\"failures\": {");
    failed = print_failures(t);
    (void)printf("}, \"connections\": %lu, \"answered\": %lu, \"failed\": %lu",
                 good + failed, good, failed);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++)
        (void)printf(", \"%s\": %lu", quantiles[i].name,
                     histogram_quantile(&t->latencies, quantiles[i].thousandths));
    (void)printf(", \"max\": %lu", atomic_load(&t->latencies.greatest));
}
