/* What a worker leaves behind.
 *
 * There are one to four descriptors for every sibling, and closing them one by one would
 * make a birth dear in a large pool. They are marked in a map, and each unbroken run of
 * marks is closed by one call.
 *
 * The map is put together anew for each birth: kept up to date instead, one mark too many
 * would some day close a descriptor of the program's own. */
#include "master/parting.h"

#include "os/fd.h"
#include "os/memory.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    WORD_BITS = 64,
    MOST = 1 << 24, /* a limit may be no limit at all */
};

int
pf_parting_open(struct pf_parting_room *room)
{
    unsigned limit = pf_fd_limit();

    room->bytes = ((limit < MOST ? limit : MOST) / WORD_BITS + 1) * sizeof *room->words;
    room->words = pf_memory_new_own(room->bytes);
    return room->words ? 0 : -ENOMEM;
}

void
pf_parting_close(struct pf_parting_room *room)
{
    pf_memory_free(room->words, room->bytes);
    room->words = NULL;
}

void
pf_parting_begin(struct pf_parting *p, const struct pf_parting_room *room)
{
    p->words = p->few;
    p->used = 0;
    p->lacks_room = false;
    p->room = *room;
}

/* Children have the room from now on: with so many siblings one mapping more is nothing. */
static void
move(struct pf_parting *p)
{
    pf_memory_inherit(p->room.words, p->room.bytes, true);
    memcpy(p->room.words, p->few, p->used * sizeof p->few[0]);
    p->words = p->room.words;
}

void
pf_parting_add(struct pf_parting *p, int fd)
{
    unsigned word = (unsigned)fd / WORD_BITS;

    if (fd < 0)
        return;
    if (fd >= PF_PARTING_FEW && word >= p->room.bytes / sizeof *p->words) {
        p->lacks_room = true;
        return;
    }
    if (fd >= PF_PARTING_FEW && p->words == p->few)
        move(p);
    for (; p->used <= word; p->used++)
        p->words[p->used] = 0;
    p->words[word] |= (uint64_t)1 << fd % WORD_BITS;
}

static bool
is_marked(const struct pf_parting *p, unsigned fd)
{
    return fd < p->used * WORD_BITS && (p->words[fd / WORD_BITS] >> fd % WORD_BITS & 1);
}

void
pf_parting_leave(struct pf_parting *p)
{
    for (unsigned fd = 0; fd < p->used * WORD_BITS; fd++) {
        unsigned first = fd;
        while (is_marked(p, fd))
            fd++;
        if (fd > first)
            (void)close_range(first, fd - 1, 0);
    }
    if (p->words != p->few)
        pf_memory_free(p->room.words, p->room.bytes);
}
