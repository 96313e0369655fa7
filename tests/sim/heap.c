/* What happens next: a binary heap of events.
 *
 * Events are never taken out early: one that has become void is recognized by its stamp
 * when its time comes. Equal times keep the order of making, so that a seed means one
 * history and no other. */
#include "sim.h"

#include <stdlib.h>

void
sim_heap_clear(void)
{
    sim.heap_count = 0;
}

static bool
earlier(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void
make_room(void)
{
    if (sim.heap_count < sim.heap_room)
        return;
    sim.heap_room = sim.heap_room ? 2 * sim.heap_room : 1024;
    sim.heap = realloc(sim.heap, sim.heap_room * sizeof *sim.heap);
    PF_ASSERT(sim.heap);
}

void
sim_at(pf_time at, enum sim_event_kind kind, unsigned process, uint64_t stamp)
{
    struct sim_event event = {at, sim.order++, kind, process, stamp};
    unsigned i;

    if (at == PF_NEVER)
        return;
    make_room();
    i = sim.heap_count++;
    for (; i > 0 && earlier(&event, &sim.heap[(i - 1) / 2]); i = (i - 1) / 2)
        sim.heap[i] = sim.heap[(i - 1) / 2];
    sim.heap[i] = event;
}

const struct sim_event *
sim_next(void)
{
    return sim.heap_count > 0 ? &sim.heap[0] : NULL;
}

struct sim_event
sim_take(void)
{
    struct sim_event first = sim.heap[0];
    struct sim_event last = sim.heap[--sim.heap_count];
    unsigned i = 0;

    for (;;) {
        unsigned child = 2 * i + 1;
        if (child >= sim.heap_count)
            break;
        if (child + 1 < sim.heap_count && earlier(&sim.heap[child + 1], &sim.heap[child]))
            child++;
        if (!earlier(&sim.heap[child], &last))
            break;
        sim.heap[i] = sim.heap[child];
        i = child;
    }
    sim.heap[i] = last;
    return first;
}
