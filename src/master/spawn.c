/* The only place that forks a worker, or a dequeue process, which is told apart by its
 * kind alone. The child never returns from here.
 *
 * A worker needs a page on the board, a channel and a process. Whatever of it is refused,
 * what was made before is given back and the refusal is a fact: births pause and are tried
 * again.
 *
 * In the child, first of all, the master's descriptors are closed: a worker that held a
 * copy of a sibling's channel would keep that sibling from noticing the master's death. The
 * master's memory is not there to be asked: what is to be done was packed before. */
#include "link/channel.h"
#include "link/heritage.h"
#include "link/wire.h"
#include "log/log.h"
#include "master/master.h"
#include "master/tags.h"
#include "net/handed.h"
#include "net/tls.h"
#include "os/departure.h"
#include "os/fd.h"
#include "os/notice.h"
#include "os/signal.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
add_master(struct pf_parting *p, const struct pf_master *m)
{
    const struct pf_held *held = m->setup.held;

    pf_parting_add(p, m->wait.fd);
    pf_parting_add(p, m->signals);
    pf_parting_add(p, m->notices);
    pf_parting_add(p, m->setup.keeper);    /* a worker must not speak for the master */
    pf_parting_add(p, m->setup.herald.fd); /* also where m->herald has given up */
    pf_parting_add(p, m->control.listener);
    for (unsigned i = 0; i < PF_STATE_WAITERS_MAX; i++)
        pf_parting_add(p, m->control.clients[i].fd);
    pf_parting_add(p, m->upgrade.checking.verdict);
    pf_parting_add(p, m->board.shared.fd);
    pf_parting_add(p, m->board.pages.fd);
    for (unsigned i = 0; i < held->count; i++) {
        if (held->files[i].role != PF_FILE_PROGRAM)
            pf_parting_add(p, held->files[i].fd);
    }
}

/* Of the watch one leads outside of another root directory. */
static void
add_files(struct pf_parting *p, const struct pf_master *m)
{
    const struct pf_score_file *score = m->setup.score_file;

    if (score) {
        pf_parting_add(p, score->directory);
        pf_parting_add(p, score->fd);
        pf_parting_add(p, score->page_fd);
    }
    if (m->setup.watch) {
        pf_parting_add(p, m->setup.watch->root);
        pf_parting_add(p, m->setup.watch->fd);
    }
    if (m->setup.on_parting)
        m->setup.on_parting(m->setup.context, p);
}

static void
add_siblings(struct pf_parting *p, const struct pf_master *m)
{
    for (unsigned i = 0; i < m->pool.used; i++) {
        const struct pf_child *child = &m->children[i];
        pf_parting_add(p, child->channel);
        pf_parting_add(p, child->wire);
        pf_parting_add(p, child->process.pidfd);
        pf_parting_add(p, child->departures);
    }
}

enum prefork_kind
pf_master_kind(enum pf_kind kind)
{
    return kind == PF_KIND_DEQUEUE ? PREFORK_KIND_DEQUEUE : PREFORK_KIND_WORKER;
}

static void
close_cradle(struct pf_cradle *c)
{
    pf_fd_close(&c->channel);
    pf_fd_close(&c->wire);
    pf_fd_close(&c->departures);
    pf_fd_close(&c->worker_channel);
    pf_fd_close(&c->worker_wire);
}

/* A program that accepts by itself would not know what the wire is for. */
static bool
wants_wire(const struct pf_master *m, enum pf_kind kind)
{
    const struct pf_recipe *recipe = m->setup.recipe;

    return recipe->child_communication && kind == PF_KIND_WORKER &&
           recipe->handler != PF_HANDLER_WAIT;
}

/* A program that accepts by itself would not use it; the others of these have no clients.
 */
static bool
wants_departures(const struct pf_master *m, enum pf_kind kind)
{
    enum pf_handler handler = m->setup.recipe->handler;

    return pf_master_heeds_departures(m) && kind == PF_KIND_WORKER &&
           (handler == PF_HANDLER_CALLBACK || handler == PF_HANDLER_NOWAIT);
}

static int
open_departures(int *ret_departures)
{
    int fd = pf_departures_open();

    if (fd >= 0)
        *ret_departures = fd;
    return fd < 0 ? fd : 0;
}

static int
open_cradle(const struct pf_master *m, struct pf_cradle *c)
{
    int r = pf_channel_open(&c->channel, &c->worker_channel);

    if (r == 0 && wants_wire(m, c->kind))
        r = pf_wire_open(&c->wire, &c->worker_wire);
    if (r == 0 && wants_departures(m, c->kind))
        r = open_departures(&c->departures);
    if (r < 0)
        close_cradle(c);
    return r;
}

/* All that a child has of the master, put together before the fork. */
struct pf_newborn {
    struct pf_heritage heritage;
    struct pf_parting parting;
    struct pf_listeners *listeners;
    struct pf_image *image;
    int pages;      /* of the board */
    int score_file; /* -1: it has no line there */
};

static void
pack(struct pf_newborn *n, struct pf_master *m, const struct pf_cradle *c)
{
    bool scores = c->published && m->setup.recipe->handler != PF_HANDLER_WAIT;

    n->heritage = (struct pf_heritage){
        .recipe = m->setup.recipe,
        .listeners = m->setup.listeners,
        .seat = {.hints = m->board.hints, .wake_fd = m->wake, .epoch = m->board.epoch},
        .turn = *m->setup.turn,
        .pass_fd = m->pass,
        .channel = c->worker_channel,
        .wire = c->worker_wire,
        .departures = c->departures,
        .dequeue = c->kind == PF_KIND_DEQUEUE,
        .random = pf_pool_random(&m->pool),
        .master = getpid(),
        .kept = m->store.fd >= 0,
    };
    if (m->notices >= 0 && pf_notice_name(m->notices, n->heritage.notify) < 0)
        n->heritage.notify[0] = '\0'; /* then ready_delay decides */
    n->listeners = m->setup.listeners;
    n->image = m->setup.image;
    n->pages = m->board.pages.fd;
    n->score_file = scores ? m->setup.score_file->page_fd : -1;
    pf_parting_begin(&n->parting, &m->parting);
    add_master(&n->parting, m);
    add_files(&n->parting, m);
    add_siblings(&n->parting, m);
    pf_parting_add(&n->parting, c->channel);
    pf_parting_add(&n->parting, c->wire);
}

/* There is no *m here (os/memory.h). */
PF_NORETURN static void
become_worker(struct pf_newborn *n, unsigned slot)
{
    struct pf_heritage *h = &n->heritage;

    h->seat.slot = pf_board_claim(n->pages, slot);
    h->seat.published = n->score_file < 0 ? NULL : pf_score_file_claim(n->score_file, slot);
    pf_parting_leave(&n->parting);
    pf_listeners_forget_handed(n->listeners);
    pf_image_leave(n->image);
    pf_master_clear_desk();
    if (!h->seat.slot)
        _exit(PF_WORKER_EXIT_SETUP);
    pf_worker_main(h);
}

/* The channel (of a program that was taken over: closed long ago) is watched only if the
 * end of file on it means something by itself: a program that accepts runs. What
 * other workers say there are last words, read when they are reaped, or announced on
 * their page; watching for them would wake the master twice for each end. */
int
pf_master_watch_child(struct pf_master *m, const struct pf_cradle *c,
                      const struct pf_process *process)
{
    int r = 0;

    if (process->pidfd >= 0)
        r = pf_wait_add(&m->wait, process->pidfd, pf_tag(PF_TAG_EXIT, c->slot));
    if (r == 0 && c->channel >= 0 && m->setup.recipe->handler == PF_HANDLER_WAIT)
        r = pf_wait_add(&m->wait, c->channel, pf_tag(PF_TAG_CHANNEL, c->slot));
    if (r == 0 && c->departures >= 0)
        r = pf_wait_add(&m->wait, c->departures, pf_tag(PF_TAG_CLIENT, c->slot));
    return r < 0 ? r : pf_master_watch_wire(m, c->slot, c->wire);
}

/* Keep what the master needs of the new worker. One whose end would not be seen must not
 * live. */
static int
adopt(struct pf_master *m, const struct pf_cradle *c, struct pf_process *process)
{
    int r = pf_master_watch_child(m, c, process);

    if (r < 0) {
        pf_process_abandon(process);
        return r;
    }
    m->children[c->slot] =
        (struct pf_child){.process = *process,
                          .channel = c->channel,
                          .wire = c->wire,
                          .departures = c->departures,
                          .score = c->published ? m->setup.score_file->number : 0};
    pf_master_note_outlets(&m->children[c->slot]);
    pf_pool_born(&m->pool, c->slot, c->kind, process->pid, m->now);
    if (m->setup.recipe->handler == PF_HANDLER_WAIT)
        pf_master_publish_program(m, c->slot);
    return 0;
}

static int
fork_worker(struct pf_master *m, struct pf_cradle *c)
{
    const struct prefork_app *app = &m->setup.recipe->app;
    struct pf_newborn newborn;
    struct pf_process process;
    int r;

    if (app->pre_fork_hook)
        app->pre_fork_hook(pf_master_kind(c->kind), app->data);
    pf_tls_before_fork(m->setup.listeners, m->now);
    if (app->pre_fork_hook || app->register_child)
        (void)fflush(NULL); /* what they print, between births (act.c) */
    pack(&newborn, m, c);
    r = newborn.parting.lacks_room ? -EMFILE : pf_process_fork(&process);
    if (r == 0)
        become_worker(&newborn, c->slot);
    pf_fd_close(&c->worker_channel);
    pf_fd_close(&c->worker_wire);
    if (r > 0)
        r = adopt(m, c, &process);
    if (r < 0)
        close_cradle(c);
    else if (app->register_child)
        app->register_child(process.pid, pf_master_kind(c->kind), app->data);
    return r;
}

static int
give_birth(struct pf_master *m, unsigned slot, enum pf_kind kind)
{
    struct pf_cradle c = {slot, kind, false, -1, -1, -1, -1, -1};
    int r = pf_board_fresh(&m->board, slot);

    if (r == 0 && kind == PF_KIND_DEQUEUE)
        pf_board_forget(&m->board, slot); /* it will never be idle */
    if (r == 0)
        r = open_cradle(m, &c);
    if (r < 0)
        return r;
    c.published = pf_master_publish_birth(m, slot);
    r = fork_worker(m, &c);
    if (r < 0)
        pf_master_publish_end(m, slot);
    return r;
}

bool
pf_master_spawn(struct pf_master *m, enum pf_kind kind)
{
    unsigned slot = pf_pool_vacant(&m->pool);
    int r;

    if (slot == m->pool.capacity)
        return false;
    r = give_birth(m, slot, kind);
    if (r < 0)
        pf_log(PREFORK_LOG_WARNING, "cannot start a %s: %s; trying again soon",
               kind == PF_KIND_DEQUEUE ? "dequeue process" : "worker", strerror(-r));
    return r >= 0;
}
