/* Latencies, counted in classes that grow with what they hold: each is less than one in a
 * hundred wide. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdatomic.h>

enum {
    HISTOGRAM_FINE = 256, /* values up to here have a class each */
    HISTOGRAM_HALF = HISTOGRAM_FINE / 2,
    HISTOGRAM_CLASSES = HISTOGRAM_FINE + 24 * HISTOGRAM_HALF, /* up to 2^32 */
};

/* All zero is empty. One writes; others may read meanwhile. */
struct histogram {
    atomic_ulong classes[HISTOGRAM_CLASSES];
    atomic_ulong greatest; /* as it was */
};

/* What is longer than 2^32 goes to the last class. */
void histogram_add(struct histogram *h, unsigned long value);

void histogram_merge(struct histogram *into, const struct histogram *from);

unsigned long histogram_count(const struct histogram *h);

/* The value below which so many thousandths of all are, less at most one in a hundred; 0 if
 * there are none. */
unsigned long histogram_quantile(const struct histogram *h, unsigned thousandths);

#endif
