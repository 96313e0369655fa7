/* Arithmetic of numbers of workers, which are never below zero. */
#ifndef PF_CORE_COUNT_H
#define PF_CORE_COUNT_H

static inline unsigned
pf_count_smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static inline unsigned
pf_count_larger(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

/* How many a has above b; 0: none. */
static inline unsigned
pf_count_above(unsigned a, unsigned b)
{
    return a > b ? a - b : 0;
}

#endif
