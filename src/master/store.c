/* What the master owns is stored with somebody who outlives it (docs/notes/0010).
 *
 * At the end of a turn in which somebody was born or died the state is written, as for an
 * exec. All that it names is offered under a name that never means anything else: the
 * number of a worker's birth, that of a listener. What was taken is noted, so each
 * thing is offered once. Then the state itself is, under a number of its own, and after
 * that the one before it is removed: at any moment there is a whole one there.
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
#include "master/tags.h"
#include "os/fd.h"
#include "os/memory.h"
#include "os/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    OTHERS = PF_STATE_LISTENERS_MAX + PF_STATE_FILES_MAX + PF_STATE_FD_COUNT_OF + 2,
};

#define AGAIN (100 * PF_MILLISECOND)

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

static void
forget_singles(struct pf_store *s)
{
    for (unsigned i = 0; i < PF_STATE_FD_COUNT_OF; i++)
        s->fds[i] = -1;
    for (unsigned i = 0; i < PF_STATE_FILES_MAX; i++)
        s->files[i] = -1;
}

/* What a master before this one has stored, or was about to: all of it is offered once
 * more, which changes nothing where it is there already, and what has gone meanwhile is
 * removed. */
static void
resume(struct pf_store *s, const struct pf_state *state)
{
    s->number = state->stored;
    s->again = true;
    for (unsigned i = 0; i < state->listener_count; i++)
        s->lent[s->lent_count++] = state->listeners[i].id;
    for (unsigned i = 0; i < state->worker_count; i++) {
        const struct pf_state_worker *w = &state->workers[i];
        if (w->slot < s->capacity)
            s->workers[w->slot] =
                (struct pf_stored_worker){.birth = w->birth,
                                          .again = true,
                                          .channel = true,
                                          .wire = w->wire >= 0,
                                          .departures = w->departures >= 0};
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
    forget_singles(s);
    s->pending = true;
    r = allocate(s, m->capacity);
    if (r == 0 && m->setup.from)
        resume(s, m->setup.from);
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

/* ---- offering and removing -------------------------------------------------------------
 */

/* Everything that keeps somebody from taking it is over some time, but his end. */
static bool
was_taken(struct pf_master *m, int r)
{
    if (r == 0)
        return true;
    if (r != -EAGAIN && r != -ENOBUFS && r != -ETOOMANYREFS)
        pf_master_lose_store(m);
    else
        m->deadline = pf_time_earlier(m->deadline, m->now + AGAIN);
    return false;
}

static bool
put(struct pf_master *m, const char *name, int fd)
{
    return m->store.fd >= 0 && was_taken(m, pf_notify_store(m->store.fd, name, &fd, 1));
}

static bool
take_back(struct pf_master *m, const char *name)
{
    return m->store.fd >= 0 && was_taken(m, pf_notify_unstore(m->store.fd, name));
}

/* Let *stored, which is under this name, be fd (-1: nothing). The service manager would
 * keep both. */
static bool
replace(struct pf_master *m, const char *name, int *stored, int fd)
{
    if (*stored == fd)
        return true;
    if (*stored >= 0 && !take_back(m, name))
        return false;
    *stored = -1;
    if (fd >= 0 && !put(m, name, fd))
        return false;
    *stored = fd;
    return true;
}

static bool
put_singles(struct pf_master *m, const struct pf_state *state)
{
    for (unsigned i = 0; i < PF_STATE_FD_COUNT_OF; i++) {
        if (pf_stored_single((enum pf_state_fd)i) &&
            !replace(m, pf_stored_single((enum pf_state_fd)i), &m->store.fds[i],
                     state->fds[i]))
            return false;
    }
    return true;
}

static bool
names_listener(const struct pf_state *state, unsigned id)
{
    for (unsigned i = 0; i < state->listener_count; i++) {
        if (state->listeners[i].id == id)
            return true;
    }
    return false;
}

static bool
is_lent(const struct pf_store *s, unsigned id)
{
    for (unsigned i = 0; i < s->lent_count; i++) {
        if (s->lent[i] == id)
            return true;
    }
    return false;
}

/* Those that are none any more. */
static bool
remove_listeners(struct pf_master *m, const struct pf_state *state)
{
    struct pf_store *s = &m->store;
    char name[PF_STORED_NAME_BYTES];

    for (unsigned i = s->lent_count; i-- > 0;) {
        if (names_listener(state, s->lent[i]))
            continue;
        if (!take_back(m, pf_stored_numbered(name, "l", s->lent[i])))
            return false;
        s->lent[i] = s->lent[--s->lent_count];
    }
    return true;
}

static bool
put_listeners(struct pf_master *m, const struct pf_state *state)
{
    struct pf_store *s = &m->store;
    char name[PF_STORED_NAME_BYTES];

    if (!remove_listeners(m, state))
        return false;
    if (s->again)
        s->lent_count = 0;
    s->again = false;
    for (unsigned i = 0; i < state->listener_count; i++) {
        const struct pf_state_listener *l = &state->listeners[i];
        if (is_lent(s, l->id))
            continue;
        if (!put(m, pf_stored_numbered(name, "l", l->id), l->fd))
            return false;
        s->lent[s->lent_count++] = l->id;
    }
    return true;
}

/* What another program stored under these names is not this program's. */
static bool
put_files(struct pf_master *m, const struct pf_state *state)
{
    char buffer[PF_STORED_NAME_BYTES];

    for (unsigned i = 0; i < state->file_count; i++) {
        const char *name = pf_stored_file(buffer, &state->files[i], i);
        if (m->store.files[i] == state->files[i].fd)
            continue;
        if (!m->store.is_keeper && !take_back(m, name))
            return false;
        if (!put(m, name, state->files[i].fd))
            return false;
        m->store.files[i] = state->files[i].fd;
    }
    return true;
}

/* In a stop: they are the next start's own affair. */
static bool
remove_files(struct pf_master *m, const struct pf_state *state)
{
    char buffer[PF_STORED_NAME_BYTES];

    for (unsigned i = 0; i < state->file_count; i++) {
        if (m->store.files[i] >= 0 &&
            !take_back(m, pf_stored_file(buffer, &state->files[i], i)))
            return false;
        m->store.files[i] = -1;
    }
    return true;
}

/* ---- workers ------------------------------------------------------------------------- */

static bool
put_one(struct pf_master *m, const char *kind, uint64_t birth, int fd, bool *stored)
{
    char name[PF_STORED_NAME_BYTES];

    if (!*stored && fd >= 0)
        *stored = put(m, pf_stored_numbered(name, kind, birth), fd);
    return *stored || fd < 0;
}

static bool
put_worker(struct pf_master *m, const struct pf_state_worker *w)
{
    struct pf_stored_worker *stored = &m->store.workers[w->slot];

    if (stored->again)
        *stored = (struct pf_stored_worker){0};
    stored->birth = w->birth;
    return put_one(m, "w", w->birth, w->channel, &stored->channel) &&
           put_one(m, "v", w->birth, w->wire, &stored->wire) &&
           put_one(m, "d", w->birth, w->departures, &stored->departures);
}

static bool
remove_one(struct pf_master *m, const char *kind, uint64_t birth, bool *stored)
{
    char name[PF_STORED_NAME_BYTES];

    if (*stored)
        *stored = !take_back(m, pf_stored_numbered(name, kind, birth));
    return !*stored;
}

static bool
remove_worker(struct pf_master *m, struct pf_stored_worker *stored)
{
    if (!remove_one(m, "w", stored->birth, &stored->channel) ||
        !remove_one(m, "v", stored->birth, &stored->wire) ||
        !remove_one(m, "d", stored->birth, &stored->departures))
        return false;
    stored->birth = 0;
    return true;
}

/* Those that are not there any more; all: also those that are. */
static bool
remove_workers(struct pf_master *m, bool all)
{
    for (unsigned i = 0; i < m->pool.used; i++) {
        const struct pf_slot *slot = &m->pool.slots[i];
        struct pf_stored_worker *stored = &m->store.workers[i];
        bool there = pf_life_alive(slot->life) && slot->birth == stored->birth && !all;
        if (stored->birth != 0 && !there && !remove_worker(m, stored))
            return false;
    }
    return true;
}

static bool
put_workers(struct pf_master *m, const struct pf_state *state)
{
    for (unsigned i = 0; i < state->worker_count; i++) {
        if (!put_worker(m, &state->workers[i]))
            return false;
    }
    return true;
}

/* ---- the state ----------------------------------------------------------------------- */

/* The new one first. What a removal that was not taken leaves there has a lower number. */
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
        m->deadline = pf_time_earlier(m->deadline, m->now + AGAIN);
        return false;
    }
    done = put(m, pf_stored_numbered(name, "state", state->stored), fd);
    pf_fd_close(&fd);
    if (!done)
        return false;
    s->number++;
    if (s->number > 1)
        (void)take_back(m, pf_stored_numbered(name, "state", s->number - 1));
    return true;
}

static bool
has_changed(const struct pf_master *m)
{
    const struct pf_store *s = &m->store;

    return s->pending || s->births != m->pool.births || s->ends != s->ends_now ||
           s->listener_count != m->setup.listeners->count;
}

/* The manager keeps them over a stop. */
static void
lend_listeners(struct pf_master *m)
{
    for (unsigned i = 0; i < m->setup.listeners->count; i++)
        m->setup.listeners->table[i].lent = true;
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
    s->pending =
        !(remove_workers(m, false) && put_singles(m, state) && put_listeners(m, state) &&
          put_files(m, state) && put_workers(m, state) && put_state(m, state));
    s->births = m->pool.births;
    s->ends = s->ends_now;
    s->listener_count = m->setup.listeners->count;
    if (!s->pending && !s->is_keeper)
        lend_listeners(m);
}

/* ---- words --------------------------------------------------------------------------- */

static void
say_once(struct pf_master *m, const char *text, bool *said)
{
    if (!*said && m->store.fd >= 0)
        *said = was_taken(m, pf_notify_send(m->store.fd, text));
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
    if (put(m, name, pf_outlet_fd(PF_OUTLET_LOG)))
        m->store.log_mark = mark;
}

/* Only the listeners come back. */
static void
withdraw(struct pf_master *m)
{
    struct pf_store *s = &m->store;
    char name[PF_STORED_NAME_BYTES];

    if (s->number > 0 && !take_back(m, pf_stored_numbered(name, "state", s->number)))
        return;
    s->number = 0;
    prepare_state(m);
    if (!remove_files(m, s->state))
        return;
    pf_state_init(s->state);
    s->withdrawn = remove_workers(m, true) && put_singles(m, s->state);
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
        m->upgrade.stage != PF_UPGRADE_EMPTYING && has_changed(m))
        store_all(m);
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
