/* What was asked for: the replacement of all workers, with a number and an end. */
#ifndef PF_MASTER_ROLLOVER_H
#define PF_MASTER_ROLLOVER_H

#include <stdint.h>

enum {
    PF_ROLLOVER_WHO_BYTES = 64,
};

struct pf_rollover {
    uint64_t last;    /* number of the last one that was asked for; 0: none */
    uint64_t running; /* of the one under way; 0: none */
    uint64_t mark;    /* workers with birth numbers up to this are old for it */
    uint64_t next;    /* of the one that waits; 0: none */
    char who[PF_ROLLOVER_WHO_BYTES]; /* has asked for it first */
};

#endif
