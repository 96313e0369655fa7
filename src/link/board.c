/* The board.
 *
 * Two things are kept that say the same: each worker's state in its own slot, and the
 * count of idle workers in the hints. The slots are the truth. The count exists because a
 * worker that goes busy must see in one step whether it was one of the last idle ones.
 *
 *   going busy:  state := TO_BUSY;  idle -= 1;  state := BUSY
 *   going idle:  state := TO_IDLE;  idle += 1;  state := IDLE
 *
 * A worker that dies in IDLE was counted, one that dies in BUSY or STARTING was not. One
 * that dies in a changing state may have been either. The audit settles it: if no slot is
 * in a changing state, and the number of changes (the count's high half) is the same
 * before and after the slots were read, the slots say what the count has to be; the
 * compare-and-exchange that writes it fails if anything moved meanwhile, and then the next
 * audit will do.
 *
 * Waking is by crossing, not by event: going busy compares the new count with wake_below,
 * and whoever finds it lower takes the bound away (sets it to 0) and writes the eventfd.
 * The bound is back when the master has acted. In a steady state no worker finds the count
 * lower and the master sleeps. */
#include "link/board.h"

#include "os/clock.h"
#include "os/memory.h"
#include "os/wake.h"

#include <assert.h>
#include <errno.h>

static_assert(sizeof(struct pf_board_slot) <= 512, "pf_share_page_clear() clears it");

#define ONE_CHANGE     ((uint64_t)1 << 32)
#define IDLE_OF(count) ((uint32_t)(count))

/* What is no kernel object. */
static int
open_notes(struct pf_board *b, int r)
{
    b->hints = b->shared.memory;
    b->notes = r < 0 ? NULL : pf_memory_new_own(b->capacity * sizeof *b->notes);
    if (r == 0 && !b->notes)
        r = -ENOMEM;
    if (r < 0)
        pf_board_close(b);
    return r;
}

int
pf_board_open(struct pf_board *b, unsigned capacity)
{
    int r;

    *b =
        (struct pf_board){.capacity = capacity, .epoch = pf_clock_epoch(), .shared.fd = -1};
    r = pf_share_pages_open(&b->pages, capacity);
    if (r == 0)
        r = pf_share_object_open(&b->shared, sizeof *b->hints);
    r = open_notes(b, r);
    if (r == 0)
        atomic_store(&b->hints->lowest, UINT32_MAX);
    return r;
}

int
pf_board_adopt(struct pf_board *b, int pages_fd, int hints_fd, unsigned capacity)
{
    int r;
    int q;

    *b = (struct pf_board){.capacity = capacity, .epoch = pf_clock_epoch()};
    r = pf_share_pages_adopt(&b->pages, pages_fd, capacity);
    q = pf_share_object_adopt(&b->shared, hints_fd, sizeof *b->hints);
    return open_notes(b, r < 0 ? r : q);
}

void
pf_board_adopt_slot(struct pf_board *b, unsigned slot, bool counted)
{
    PF_ASSERT(slot < b->capacity);
    b->notes[slot] = (struct pf_board_note){.used = true, .counted = counted};
}

void
pf_board_close(struct pf_board *b)
{
    pf_share_object_close(&b->shared);
    pf_share_pages_close(&b->pages);
    pf_memory_free(b->notes, b->capacity * sizeof *b->notes);
    *b = (struct pf_board){.pages.fd = -1, .shared.fd = -1};
}

int
pf_board_fresh(struct pf_board *b, unsigned slot)
{
    int r;

    PF_ASSERT(slot < b->capacity);
    r = pf_share_page_clear(&b->pages, slot);
    if (r == 0)
        b->notes[slot] = (struct pf_board_note){.used = true, .counted = true};
    return r;
}

struct pf_board_slot *
pf_board_claim(int pages_fd, unsigned slot)
{
    return pf_share_page_claim(pages_fd, slot);
}

struct pf_board_slot *
pf_board_slot(const struct pf_board *b, unsigned slot)
{
    return slot < b->capacity && b->notes[slot].used ? pf_share_page(&b->pages, slot)
                                                     : NULL;
}

void
pf_board_forget(struct pf_board *b, unsigned slot)
{
    struct pf_board_slot *s = pf_board_slot(b, slot);

    if (s && b->notes[slot].counted && atomic_load(&s->state) == PF_BOARD_IDLE)
        atomic_fetch_add(&b->hints->idle, ONE_CHANGE - 1);
    b->notes[slot].counted = false;
}

/* Idle slots, or -1: one of them is changing right now. */
static int64_t
count_idle(const struct pf_board *b, unsigned used)
{
    int64_t count = 0;

    for (unsigned i = 0; i < used; i++) {
        uint32_t state;
        if (!b->notes[i].counted)
            continue;
        state = atomic_load(&pf_board_slot(b, i)->state);
        if (state == PF_BOARD_TO_IDLE || state == PF_BOARD_TO_BUSY)
            return -1;
        count += state == PF_BOARD_IDLE;
    }
    return count;
}

void
pf_board_audit(struct pf_board *b, unsigned used)
{
    uint64_t before = atomic_load(&b->hints->idle);
    int64_t count = count_idle(b, used);
    uint64_t right = (before & ~(uint64_t)UINT32_MAX) | (uint32_t)count;

    if (count < 0 || right == before)
        return;
    (void)atomic_compare_exchange_strong(&b->hints->idle, &before, right);
}

uint32_t
pf_board_idle(const struct pf_board *b)
{
    return IDLE_OF(atomic_load(&b->hints->idle));
}

uint32_t
pf_board_take_lowest(struct pf_board *b)
{
    return atomic_exchange(&b->hints->lowest, UINT32_MAX);
}

bool
pf_board_arm(struct pf_board *b, uint32_t wake_below, bool want_ready)
{
    atomic_store(&b->hints->want_ready, want_ready);
    atomic_store(&b->hints->wake_below, wake_below);
    return pf_board_idle(b) < wake_below;
}

uint32_t
pf_board_outlet(const struct pf_board *b, enum pf_outlet outlet)
{
    return atomic_load(&b->hints->outlet_marks[outlet]);
}

void
pf_board_say_outlet(struct pf_board *b, enum pf_outlet outlet, uint32_t mark)
{
    atomic_store(&b->hints->outlet_marks[outlet], mark);
}

uint32_t
pf_board_take_log_broken(struct pf_board *b)
{
    return atomic_exchange(&b->hints->log_broken, 0);
}

void
pf_board_wake(const struct pf_board_seat *seat)
{
    pf_wake_ring(seat->wake_fd);
}

static bool
take(_Atomic uint32_t *wish)
{
    return atomic_load_explicit(wish, memory_order_relaxed) != 0 &&
           atomic_exchange(wish, 0) != 0;
}

void
pf_board_say_idle(struct pf_board_seat *seat, pf_time now)
{
    struct pf_board_slot *s = seat->slot;
    uint32_t was = atomic_load_explicit(&s->state, memory_order_relaxed);

    if (was == PF_BOARD_IDLE)
        return;
    atomic_store_explicit(&s->since, now, memory_order_relaxed);
    atomic_store_explicit(&s->state, PF_BOARD_TO_IDLE, memory_order_relaxed);
    atomic_fetch_add(&seat->hints->idle, ONE_CHANGE + 1);
    atomic_store_explicit(&s->state, PF_BOARD_IDLE, memory_order_release);
    if (was == PF_BOARD_STARTING && take(&seat->hints->want_ready))
        pf_board_wake(seat);
}

void
pf_board_say_busy(struct pf_board_seat *seat, pf_time now, unsigned accepted)
{
    struct pf_board_slot *s = seat->slot;
    uint32_t idle;

    if (atomic_load_explicit(&s->state, memory_order_relaxed) == PF_BOARD_BUSY)
        return;
    atomic_store_explicit(&s->since, now, memory_order_relaxed);
    atomic_store_explicit(&s->requests, s->requests + accepted, memory_order_relaxed);
    atomic_store_explicit(&s->state, PF_BOARD_TO_BUSY, memory_order_relaxed);
    idle = IDLE_OF(atomic_fetch_add(&seat->hints->idle, ONE_CHANGE - 1)) - 1;
    atomic_store_explicit(&s->state, PF_BOARD_BUSY, memory_order_release);
    if (idle < atomic_load_explicit(&seat->hints->lowest, memory_order_relaxed))
        atomic_store_explicit(&seat->hints->lowest, idle, memory_order_relaxed);
    if (idle < atomic_load_explicit(&seat->hints->wake_below, memory_order_relaxed) &&
        take(&seat->hints->wake_below))
        pf_board_wake(seat);
}

void
pf_board_say_next(struct pf_board_seat *seat, pf_time now)
{
    struct pf_board_slot *s = seat->slot;

    atomic_store_explicit(&s->since, now, memory_order_relaxed);
    atomic_store_explicit(&s->requests, s->requests + 1, memory_order_relaxed);
}

void
pf_board_say_wants_leave(struct pf_board_seat *seat)
{
    if (atomic_exchange(&seat->slot->wants_leave, 1) == 0)
        pf_board_wake(seat);
}

void
pf_board_say_spent(struct pf_board_seat *seat)
{
    atomic_store(&seat->slot->state, PF_BOARD_SPENT); /* from BUSY: not counted as idle */
}

void
pf_board_say_leaving(struct pf_board_seat *seat, pf_time now)
{
    if (atomic_load_explicit(&seat->slot->state, memory_order_relaxed) == PF_BOARD_IDLE)
        pf_board_say_busy(seat, now, 0);
    pf_board_say_spent(seat);
}

void
pf_board_say_apart(struct pf_board_seat *seat)
{
    atomic_store(&seat->slot->state, PF_BOARD_APART);
}

void
pf_board_say_spoke(struct pf_board_seat *seat)
{
    atomic_fetch_add(&seat->slot->words, 1);
    pf_board_wake(seat);
}

void
pf_board_say_wants_stop(struct pf_board_seat *seat)
{
    atomic_store(&seat->slot->wants_stop, PF_BOARD_STOP);
    pf_board_say_spoke(seat);
}

void
pf_board_say_log_broken(const struct pf_board_seat *seat, uint32_t mark)
{
    if (atomic_exchange(&seat->hints->log_broken, mark) != mark)
        pf_board_wake(seat);
}
