/* What the master waits for: a kind, and for what belongs to a worker its slot. */
#ifndef PF_MASTER_TAGS_H
#define PF_MASTER_TAGS_H

#include <stdint.h>

enum pf_tag_kind {
    PF_TAG_SIGNAL,  /* a signal arrived */
    PF_TAG_WAKE,    /* a worker rang the bell */
    PF_TAG_DOOR,    /* a connection waits on a listener that nobody else watches */
    PF_TAG_CHANNEL, /* a worker said something, or closed its end */
    PF_TAG_WIRE,    /* the program's own words came from a worker */
    PF_TAG_CLIENT,  /* a worker's client may have gone */
    PF_TAG_EXIT,    /* a worker that is not our child ended */
    PF_TAG_NOTICE,  /* a program said something of itself */
    PF_TAG_KEEPER,  /* the keeper is gone */
    PF_TAG_FILES,   /* something happens to the server's own files */
    PF_TAG_CONTROL, /* somebody wants to ask for something */
    PF_TAG_REQUEST, /* the client of this index has asked, or gone */
};

static inline uint64_t
pf_tag(enum pf_tag_kind kind, unsigned slot)
{
    return (uint64_t)kind << 32 | slot;
}

static inline enum pf_tag_kind
pf_tag_kind(uint64_t tag)
{
    return (enum pf_tag_kind)(tag >> 32);
}

static inline unsigned
pf_tag_slot(uint64_t tag)
{
    return (unsigned)(tag & UINT32_MAX);
}

#endif
