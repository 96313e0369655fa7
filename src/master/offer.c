/* What lies in the store, kind by kind, and how it gets there and away.
 *
 * What was taken is noted, so each thing is offered once. A master that was executed in the
 * place of another one, or that comes after it, knows from the state which names the store
 * may hold, and not what is under them: its settings may have other things there, or
 * nothing. So a name is taken back before anything else is put under it, because the
 * service manager would keep both; and so is one that means nothing any more.
 *
 * Board, hints, wake, pass and notices are taken over as they are for as long as the server
 * lives. If a state was stored, they are there, and are left alone: between taking one of
 * them back and putting it again the next master could not take over the workers.
 *
 * Files are for the keeper, which starts what ran. A service manager starts what is on
 * disk. */
#include "master/offer.h"

#include "link/stored.h"
#include "master/master.h"
#include "os/notify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    NOTHING = -1,
    UNKNOWN = -2, /* what is under this name, if anything is */
};

/* ---- one thing ----------------------------------------------------------------------- */

/* Everything that keeps somebody from taking it is over some time, but his end. */
static bool
was_taken(struct pf_master *m, int r)
{
    if (r == 0)
        return true;
    if (r != -EAGAIN && r != -ENOBUFS && r != -ETOOMANYREFS)
        pf_master_lose_store(m);
    else
        m->deadline = pf_time_earlier(m->deadline, m->now + PF_OFFER_AGAIN);
    return false;
}

bool
pf_offer_put(struct pf_master *m, const char *name, int fd)
{
    return m->store.fd >= 0 && was_taken(m, pf_notify_store(m->store.fd, name, &fd, 1));
}

bool
pf_offer_take_back(struct pf_master *m, const char *name)
{
    return m->store.fd >= 0 && was_taken(m, pf_notify_unstore(m->store.fd, name));
}

bool
pf_offer_say(struct pf_master *m, const char *text)
{
    return m->store.fd >= 0 && was_taken(m, pf_notify_send(m->store.fd, text));
}

/* ---- single descriptors -------------------------------------------------------------- */

/* The settings decide about these: another program may have other ones. */
static bool
is_chosen(enum pf_state_fd which)
{
    return which == PF_STATE_FD_PID || which == PF_STATE_FD_SCORE ||
           which == PF_STATE_FD_PAGES;
}

static void
begin_singles(struct pf_store *s, const struct pf_state *from)
{
    bool whole = from && from->stored > 0;

    for (unsigned i = 0; i < PF_STATE_FD_COUNT_OF; i++)
        s->fds[i] = whole && !is_chosen((enum pf_state_fd)i) ? from->fds[i] : UNKNOWN;
}

/* Let *stored, which is under this name, be fd (-1: nothing). */
static bool
replace(struct pf_master *m, const char *name, int *stored, int fd)
{
    if (*stored == fd)
        return true;
    if (*stored != NOTHING && !pf_offer_take_back(m, name))
        return false;
    *stored = NOTHING;
    if (fd >= 0 && !pf_offer_put(m, name, fd))
        return false;
    *stored = fd;
    return true;
}

bool
pf_offer_singles(struct pf_master *m, const struct pf_state *state)
{
    for (unsigned i = 0; i < PF_STATE_FD_COUNT_OF; i++) {
        const char *name = pf_stored_single((enum pf_state_fd)i);
        if (name && !replace(m, name, &m->store.fds[i], state->fds[i]))
            return false;
    }
    return true;
}

/* ---- listeners ----------------------------------------------------------------------- */

bool
pf_offer_names_listener(const struct pf_state *state, unsigned id)
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
        if (pf_offer_names_listener(state, s->lent[i]))
            continue;
        if (!pf_offer_take_back(m, pf_stored_numbered(name, "l", s->lent[i])))
            return false;
        s->lent[i] = s->lent[--s->lent_count];
    }
    return true;
}

bool
pf_offer_listeners(struct pf_master *m, const struct pf_state *state)
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
        if (!pf_offer_put(m, pf_stored_numbered(name, "l", l->id), l->fd))
            return false;
        s->lent[s->lent_count++] = l->id;
    }
    return true;
}

/* ---- files --------------------------------------------------------------------------- */

static void
note_file(struct pf_stored_file *stored, const char *name, int fd)
{
    stored->fd = fd;
    (void)snprintf(stored->name, sizeof stored->name, "%s", name);
}

static void
begin_files(struct pf_store *s, const struct pf_state *from)
{
    char name[PF_STORED_NAME_BYTES];

    s->file_count = from->file_count;
    for (unsigned i = 0; i < from->file_count; i++) {
        note_file(&s->files[i], pf_stored_file(name, &from->files[i], i), UNKNOWN);
    }
}

static bool
names_file(const struct pf_state *state, const char *name)
{
    char buffer[PF_STORED_NAME_BYTES];

    for (unsigned i = 0; i < state->file_count; i++) {
        if (strcmp(pf_stored_file(buffer, &state->files[i], i), name) == 0)
            return true;
    }
    return false;
}

static bool
remove_files(struct pf_master *m, const struct pf_state *state)
{
    struct pf_store *s = &m->store;

    for (unsigned i = s->file_count; i-- > 0;) {
        if (names_file(state, s->files[i].name))
            continue;
        if (!pf_offer_take_back(m, s->files[i].name))
            return false;
        s->files[i] = s->files[--s->file_count];
    }
    return true;
}

/* What is stored under this name. There is room for all that a state names, once the rest
 * is removed. */
static struct pf_stored_file *
find_file(struct pf_store *s, const char *name)
{
    for (unsigned i = 0; i < s->file_count; i++) {
        if (strcmp(s->files[i].name, name) == 0)
            return &s->files[i];
    }
    note_file(&s->files[s->file_count], name, NOTHING);
    return &s->files[s->file_count++];
}

/* Put over what is there: without its executable the keeper could start nobody. */
bool
pf_offer_files(struct pf_master *m, const struct pf_state *state)
{
    char buffer[PF_STORED_NAME_BYTES];

    if (!m->store.is_keeper)
        return true;
    if (!remove_files(m, state))
        return false;
    for (unsigned i = 0; i < state->file_count; i++) {
        const char *name = pf_stored_file(buffer, &state->files[i], i);
        struct pf_stored_file *stored = find_file(&m->store, name);
        if (stored->fd == state->files[i].fd)
            continue;
        if (!pf_offer_put(m, name, state->files[i].fd))
            return false;
        stored->fd = state->files[i].fd;
    }
    return true;
}

/* ---- workers ------------------------------------------------------------------------- */

static void
begin_workers(struct pf_store *s, const struct pf_state *from)
{
    for (unsigned i = 0; i < from->worker_count; i++) {
        const struct pf_state_worker *w = &from->workers[i];
        if (w->slot < s->capacity)
            s->workers[w->slot] =
                (struct pf_stored_worker){.birth = w->birth,
                                          .again = true,
                                          .channel = true,
                                          .wire = w->wire >= 0,
                                          .departures = w->departures >= 0};
    }
}

static bool
put_one(struct pf_master *m, const char *kind, uint64_t birth, int fd, bool *stored)
{
    char name[PF_STORED_NAME_BYTES];

    if (!*stored && fd >= 0)
        *stored = pf_offer_put(m, pf_stored_numbered(name, kind, birth), fd);
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

bool
pf_offer_workers(struct pf_master *m, const struct pf_state *state)
{
    for (unsigned i = 0; i < state->worker_count; i++) {
        if (!put_worker(m, &state->workers[i]))
            return false;
    }
    return true;
}

static bool
remove_one(struct pf_master *m, const char *kind, uint64_t birth, bool *stored)
{
    char name[PF_STORED_NAME_BYTES];

    if (*stored)
        *stored = !pf_offer_take_back(m, pf_stored_numbered(name, kind, birth));
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

/* A worker that was stored, and whose master died before it stored a state that names it,
 * is nobody's: it leaves when nobody has the other end of its channel any more. */
static bool
remove_strays(struct pf_master *m)
{
    struct pf_store *s = &m->store;

    for (; s->stray < s->last_stray; s->stray++) {
        struct pf_stored_worker one = {s->stray + 1, false, true, true, true};
        if (!remove_worker(m, &one))
            return false;
    }
    return true;
}

bool
pf_offer_remove_workers(struct pf_master *m, bool all)
{
    if (!remove_strays(m))
        return false;
    for (unsigned i = 0; i < m->store.capacity; i++) { /* also who was not taken over */
        const struct pf_slot *slot = &m->pool.slots[i];
        struct pf_stored_worker *stored = &m->store.workers[i];
        bool there = pf_life_alive(slot->life) && slot->birth == stored->birth && !all;
        if (stored->birth != 0 && !there && !remove_worker(m, stored))
            return false;
    }
    return true;
}

/* ---- the start ----------------------------------------------------------------------- */

void
pf_offer_begin(struct pf_store *s, const struct pf_state *from)
{
    begin_singles(s, from);
    s->oldest = 1;
    if (!from)
        return;
    s->number = from->stored;
    s->stray = from->births;
    s->last_stray = from->last_birth;
    if (from->stored > 1)
        s->oldest = from->stored - 1; /* whose removal may not have been taken */
    s->again = true;
    for (unsigned i = 0; i < from->listener_count; i++)
        s->lent[s->lent_count++] = from->listeners[i].id;
    if (s->is_keeper)
        begin_files(s, from);
    begin_workers(s, from);
}
