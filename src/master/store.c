/* What the master owns is stored with somebody who outlives it (docs/notes/0010).
 *
 * At the end of a turn in which somebody was born or died the state is written, as for an
 * exec. All that it names is offered (offer.c) under a name that never means anything else:
 * the number of a worker's birth, that of a listener. Then the state itself is, under a
 * number of its own, and after that the one before it is removed: at any moment there is a
 * whole one there.
 *
 * While a new program is on trial nothing is stored: if it dies, the one before is to come
 * back, with its own workers.
 *
 * Nothing here waits. What is not taken now (the receiver's queue is full) is offered in a
 * later turn, and the state after it; the old one is still true of those that it names.
 *
 * A keeper is told besides that the server is ready, so that it knows a failed start from a
 * death; that its end is meant; and where the log is. A service manager has heard that from
 * the herald. It keeps what is stored over an orderly restart too: there only the listeners
 * are to come back, and everything else is removed when a stop begins. */
#include "master/store.h"

#include "keeper/keeper.h"
#include "link/stored.h"
#include "log/log.h"
#include "log/outlet.h"
#include "master/master.h"
#include "master/offer.h"
#include "master/tags.h"
#include "os/fd.h"
#include "os/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    OTHERS = PF_STATE_LISTENERS_MAX + PF_STATE_FILES_MAX + PF_STATE_FD_COUNT_OF + 2,
};

/* ---- open and close --------------------------------------------------------------------
 */

/* A worker has a channel, a wire and departures. */
unsigned
pf_store_room(unsigned capacity)
{
    return 3 * capacity + OTHERS;
}

static int
allocate(struct pf_store *s, unsigned capacity)
{
    s->capacity = capacity;
    s->buffer_bytes = pf_state_bytes(capacity);
    s->workers = pf_memory_new_own(capacity * sizeof *s->workers);
    s->table = pf_memory_new_own(capacity * sizeof *s->table);
    s->state = pf_memory_new_own(sizeof *s->state);
    s->buffer = pf_memory_new_own(s->buffer_bytes);
    return s->workers && s->table && s->state && s->buffer ? 0 : -ENOMEM;
}

/* The manager keeps them over a stop: all that this state names, which it has. */
static void
lend_listeners(struct pf_master *m, const struct pf_state *state)
{
    for (unsigned i = 0; i < m->setup.listeners->count && !m->store.is_keeper; i++) {
        struct pf_listener *l = &m->setup.listeners->table[i];
        l->lent = l->lent || pf_offer_names_listener(state, l->id);
    }
}

int
pf_store_open(struct pf_master *m, int keeper, bool wanted)
{
    struct pf_store *s = &m->store;
    int r;

    *s = PF_STORE_NONE;
    s->is_keeper = keeper >= 0;
    s->fd = s->is_keeper ? keeper : wanted ? m->herald.fd : -1;
    if (s->fd < 0)
        return 0;
    s->pending = true;
    r = allocate(s, m->capacity);
    if (r == 0)
        pf_offer_begin(s, m->setup.from);
    if (m->setup.from && m->setup.from->stored > 0)
        lend_listeners(m, m->setup.from);
    if (r == 0 && s->is_keeper)
        r = pf_wait_add(&m->wait, s->fd, pf_tag(PF_TAG_KEEPER, 0));
    return r;
}

void
pf_store_close(struct pf_store *s)
{
    pf_memory_free(s->workers, s->capacity * sizeof *s->workers);
    pf_memory_free(s->table, s->capacity * sizeof *s->table);
    pf_memory_free(s->state, sizeof *s->state);
    pf_memory_free(s->buffer, s->buffer_bytes);
    *s = PF_STORE_NONE;
}

/* ---- the state ----------------------------------------------------------------------- */

/* All that have lower numbers than this one. What stays for now is tried again in a later
 * turn: a state that nobody removes would be taken for the last one after a stop. */
static bool
remove_states(struct pf_master *m, uint64_t number)
{
    struct pf_store *s = &m->store;
    char name[PF_STORED_NAME_BYTES];

    for (; s->oldest < number; s->oldest++) {
        if (!pf_offer_take_back(m, pf_stored_numbered(name, "state", s->oldest)))
            return false;
    }
    return true;
}

/* The new one first: of two the one with the higher number counts. */
static bool
put_state(struct pf_master *m, struct pf_state *state)
{
    struct pf_store *s = &m->store;
    char name[PF_STORED_NAME_BYTES];
    bool done;
    int fd;

    state->stored = s->number + 1;
    fd = pf_state_seal(state, s->buffer, s->buffer_bytes);
    if (fd < 0) {
        m->deadline = pf_time_earlier(m->deadline, m->now + PF_OFFER_AGAIN);
        return false;
    }
    done = pf_offer_put(m, pf_stored_numbered(name, "state", state->stored), fd);
    pf_fd_close(&fd);
    if (!done)
        return false;
    s->number++;
    return true;
}

static bool
has_changed(const struct pf_master *m)
{
    const struct pf_store *s = &m->store;

    return s->pending || s->births != m->pool.births || s->ends != s->ends_now ||
           s->listener_count != m->setup.listeners->count;
}

static void
prepare_state(struct pf_master *m)
{
    struct pf_state *state = m->store.state;

    pf_state_init(state);
    state->workers = m->store.table;
    state->worker_capacity = m->store.capacity;
    pf_master_fill_state(m, state);
    state->kind = PF_STATE_ADOPT;
}

static void
store_all(struct pf_master *m)
{
    struct pf_store *s = &m->store;
    struct pf_state *state = s->state;

    prepare_state(m);
    s->pending = !(pf_offer_remove_workers(m, false) && pf_offer_singles(m, state) &&
                   pf_offer_listeners(m, state) && pf_offer_files(m, state) &&
                   pf_offer_workers(m, state) && put_state(m, state));
    s->births = m->pool.births;
    s->ends = s->ends_now;
    s->listener_count = m->setup.listeners->count;
    if (!s->pending)
        lend_listeners(m, state);
}

/* ---- words --------------------------------------------------------------------------- */

static void
say_once(struct pf_master *m, const char *text, bool *said)
{
    if (!*said)
        *said = pf_offer_say(m, text);
}

/* The keeper has the log that was opened at the start. */
static void
hand_log(struct pf_master *m)
{
    uint32_t mark = pf_outlet_mark(PF_OUTLET_LOG);
    char name[PF_STORED_NAME_BYTES];

    if (mark == m->store.log_mark)
        return;
    (void)snprintf(name, sizeof name, PF_KEEPER_LOG "%" PRIu32, mark);
    if (pf_offer_put(m, name, pf_outlet_fd(PF_OUTLET_LOG)))
        m->store.log_mark = mark;
}

/* Only the listeners come back. */
static void
withdraw(struct pf_master *m)
{
    struct pf_store *s = &m->store;

    pf_state_init(s->state);
    s->withdrawn = remove_states(m, s->number + 1) && pf_offer_remove_workers(m, true) &&
                   pf_offer_singles(m, s->state);
}

static void
tend_keeper(struct pf_master *m)
{
    hand_log(m);
    if (m->announced && !m->store.pending)
        say_once(m, "READY=1\n", &m->store.said_ready);
    if (m->pool.stop != PF_STOP_NONE)
        say_once(m, "STOPPING=1\n", &m->store.said_stopping);
}

void
pf_master_store(struct pf_master *m)
{
    struct pf_store *s = &m->store;

    if (s->fd < 0)
        return;
    if (m->pool.stop == PF_STOP_NONE && m->upgrade.stage != PF_UPGRADE_TRIAL &&
        m->upgrade.stage != PF_UPGRADE_EMPTYING) {
        if (has_changed(m))
            store_all(m);
        (void)remove_states(m, s->number);
    }
    if (s->is_keeper)
        tend_keeper(m);
    else if (m->pool.stop != PF_STOP_NONE && !s->withdrawn)
        withdraw(m);
}

/* The herald notes by itself that the service manager is gone. */
void
pf_master_lose_store(struct pf_master *m)
{
    struct pf_store *s = &m->store;

    if (s->fd >= 0 && s->is_keeper) {
        pf_wait_remove(&m->wait, s->fd);
        pf_log(PREFORK_LOG_WARNING,
               "the keeper is gone: if this process dies, no other master takes over");
    }
    s->fd = -1;
}
