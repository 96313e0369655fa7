/* Which file it is, and in which state: enough to tell that it is another one now.
 *
 * The time of the last change of status (st_ctime) is left out on purpose: it moves when a
 * file is renamed away and back, linked, or handed over to a user, and its content does
 * not. */
#ifndef PF_BASE_IDENTITY_H
#define PF_BASE_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

struct pf_identity {
    bool there;         /* false: there is no such file; the rest is 0 then */
    uint64_t device;    /* these two name the file ... */
    uint64_t inode;     /* ... whatever its path is */
    uint64_t size;      /* bytes */
    int64_t written_ns; /* last modification, nanoseconds of the wall clock */
};

static inline bool
pf_identity_equal(const struct pf_identity *a, const struct pf_identity *b)
{
    return a->there == b->there && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && a->written_ns == b->written_ns;
}

#endif
