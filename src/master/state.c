/* What the next master needs to know, written from the tables of this one. */
#include "link/state.h"

#include "base/text.h"
#include "master/master.h"

#include <stdio.h>
#include <unistd.h>

static void
fill_listeners(const struct pf_master *m, struct pf_state *s)
{
    for (unsigned i = 0; i < m->setup.listeners->count; i++) {
        const struct pf_listener *l = &m->setup.listeners->table[i];
        struct pf_state_listener *to = &s->listeners[i];
        *to = (struct pf_state_listener){.fd = l->fd,
                                         .id = l->id,
                                         .proto = l->proto,
                                         .shard = l->shard,
                                         .inherited = l->inherited};
        (void)snprintf(to->address, sizeof to->address, "%s", l->address);
    }
    s->listener_count = m->setup.listeners->count;
}

static void
fill_worker(struct pf_master *m, unsigned slot, struct pf_state_worker *to)
{
    const struct pf_slot *from = &m->pool.slots[slot];
    struct pf_child *child = &m->children[slot];

    if (child->start == 0)
        child->start = pf_process_start_time(from->pid);
    *to = (struct pf_state_worker){
        .slot = slot,
        .kind = from->kind,
        .life = from->life,
        .step = from->step,
        .reason = from->reason,
        .pid = from->pid,
        .start = child->start,
        .birth = from->birth,
        .born = from->born,
        .signalled = from->signalled,
        .was_ready = from->was_ready,
        .exempt = from->exempt,
        .channel = child->channel,
        .wire = child->wire,
        .departures = child->departures,
    };
}

void
pf_master_fill_state(struct pf_master *m, struct pf_state *s)
{
    (void)snprintf(s->name, sizeof s->name, "%s", m->setup.recipe->name);
    s->pid = getpid();
    s->slots = m->capacity;
    s->slot_bytes = sizeof(struct pf_board_slot);
    s->births = m->pool.births;
    s->outdated = m->pool.outdated;
    s->requests = m->pool.requests_buried;
    s->fds[PF_STATE_FD_BOARD] = m->board.pages.fd;
    s->fds[PF_STATE_FD_HINTS] = m->board.shared.fd;
    s->fds[PF_STATE_FD_WAKE] = m->wake;
    s->fds[PF_STATE_FD_PASS] = m->pass;
    s->fds[PF_STATE_FD_STORE] = m->store.is_keeper ? m->store.fd : -1;
    fill_listeners(m, s);
    s->file_count = 1;
    s->files[0] = (struct pf_state_file){.fd = m->store.exe, .role = PF_FILE_EXECUTABLE};
    for (unsigned i = 0; i < m->pool.used; i++) {
        if (pf_life_alive(m->pool.slots[i].life))
            fill_worker(m, i, &s->workers[s->worker_count++]);
    }
}
