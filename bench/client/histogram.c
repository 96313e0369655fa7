/* Latencies, counted in classes that grow with what they hold.
 *
 * A value belongs to the class of its leading one and the seven bits behind it:
 *
 *   1 x x x x x x x | shifted out
 *
 * Up to 256 nothing is shifted out. From there on each doubling has 128 classes. So a
 * quantile is told to seven bits, whether it is a microsecond or an hour, and nothing that
 * was counted has to be kept. */
#include "histogram.h"

static unsigned
class_of(unsigned long value)
{
    unsigned shift = 0;

    for (; value >> shift >= HISTOGRAM_FINE; shift++)
        continue;
    if (shift == 0)
        return (unsigned)value;
    value =
        HISTOGRAM_FINE + (shift - 1) * HISTOGRAM_HALF + ((value >> shift) - HISTOGRAM_HALF);
    return value < HISTOGRAM_CLASSES ? (unsigned)value : HISTOGRAM_CLASSES - 1;
}

/* The least value of a class. */
static unsigned long
floor_of(unsigned class)
{
    unsigned above = class - HISTOGRAM_FINE;

    if (class < HISTOGRAM_FINE)
        return class;
    return (unsigned long)(HISTOGRAM_HALF + above % HISTOGRAM_HALF)
           << (above / HISTOGRAM_HALF + 1);
}

static void
add(atomic_ulong *to, unsigned long count)
{
    (void)atomic_fetch_add_explicit(to, count, memory_order_relaxed);
}

static void
stretch(struct histogram *h, unsigned long value)
{
    if (value > atomic_load(&h->greatest))
        atomic_store(&h->greatest, value);
}

void
histogram_add(struct histogram *h, unsigned long value)
{
    add(&h->classes[class_of(value)], 1);
    stretch(h, value);
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned class = 0; class < HISTOGRAM_CLASSES; class ++)
        add(&into->classes[class], atomic_load(&from->classes[class]));
    stretch(into, atomic_load(&from->greatest));
}

unsigned long
histogram_count(const struct histogram *h)
{
    unsigned long count = 0;

    for (unsigned class = 0; class < HISTOGRAM_CLASSES; class ++)
        count += atomic_load(&h->classes[class]);
    return count;
}

unsigned long
histogram_quantile(const struct histogram *h, unsigned thousandths)
{
    unsigned long count = histogram_count(h);
    unsigned long below = 0;

    for (unsigned class = 0; count > 0 && class < HISTOGRAM_CLASSES; class ++) {
        below += atomic_load(&h->classes[class]);
        if (below > 0 && below * 1000 >= count * thousandths)
            return floor_of(class);
    }
    return 0;
}
