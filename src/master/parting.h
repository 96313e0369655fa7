/* What a worker leaves behind: every descriptor that is the master's, or a sibling's.
 *
 * A child of the fork does not have the master's memory (os/memory.h), so the master says
 * before the fork what is to be closed after it. */
#ifndef PF_MASTER_PARTING_H
#define PF_MASTER_PARTING_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PF_PARTING_FEW = 4096, /* descriptors below this number need no other memory */
};

/* For descriptors beyond: as many bits as the process may have descriptors. */
struct pf_parting_room {
    uint64_t *words;
    size_t bytes;
};

/* A bit for each. On the stack of whoever forks, which the child has. */
struct pf_parting {
    uint64_t few[PF_PARTING_FEW / 64];
    uint64_t *words; /* few, or the room */
    unsigned used;   /* words in use; those beyond may be anything */
    bool lacks_room; /* there are more descriptors than there could be at the start */
    struct pf_parting_room room; /* a copy */
};

/* 0 or -ENOMEM. Close accepts what is all zeros. */
PF_MUST_USE int pf_parting_open(struct pf_parting_room *room);
void pf_parting_close(struct pf_parting_room *room);

/* Begin with none; and one more (-1: none). */
void pf_parting_begin(struct pf_parting *p, const struct pf_parting_room *room);
void pf_parting_add(struct pf_parting *p, int fd);

/* In the child: close them all. */
void pf_parting_leave(struct pf_parting *p);

#endif
