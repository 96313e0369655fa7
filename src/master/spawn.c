/* The only place that forks a worker, or a dequeue process, which is told apart by its
 * kind alone. The child never returns from here.
 *
 * A worker needs a page on the board, a channel and a process. Whatever of it is refused,
 * what was made before is given back and the refusal is a fact: births pause and are tried
 * again.
 *
 * In the child, first of all, the master's descriptors are closed: a worker that held a
 * copy of a sibling's channel would keep that sibling from noticing the master's death. */
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
#include "os/memory.h"
#include "os/notice.h"
#include "os/signal.h"
#include "worker/worker.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* There are two to four descriptors for every sibling, and closing them one by one would
 * make a birth dear in a large pool. They are marked in a map, and each unbroken run of
 * marks is closed by one call. */
enum {
    WORD_BITS = 64,
};

static void
mark(struct pf_marks *marks, int fd)
{
    unsigned word = (unsigned)fd / WORD_BITS;

    if (fd < 0)
        return;
    if (fd >= PF_MARKS_MAX) {
        (void)close(fd);
        return;
    }
    for (; marks->used <= word; marks->used++)
        marks->words[marks->used] = 0;
    marks->words[word] |= (uint64_t)1 << fd % WORD_BITS;
}

static bool
is_marked(const struct pf_marks *marks, unsigned fd)
{
    return fd < marks->used * WORD_BITS &&
           (marks->words[fd / WORD_BITS] >> fd % WORD_BITS & 1);
}

static void
close_marked(const struct pf_marks *marks)
{
    for (unsigned fd = 0; fd < marks->used * WORD_BITS; fd++) {
        unsigned first = fd;
        while (is_marked(marks, fd))
            fd++;
        if (fd > first)
            (void)close_range(first, fd - 1, 0);
    }
}

/* They stay where they are in a struct that is dropped next: a page that is not written is
 * not copied. */
static void
mark_master(struct pf_marks *marks, const struct pf_master *m)
{
    const struct pf_held *held = m->setup.held;

    mark(marks, m->wait.fd);
    mark(marks, m->signals);
    mark(marks, m->notices);
    mark(marks, m->setup.keeper);    /* a worker must not speak for the master */
    mark(marks, m->setup.herald.fd); /* also where m->herald has given up */
    mark(marks, m->control.listener);
    for (unsigned i = 0; i < PF_STATE_WAITERS_MAX; i++)
        mark(marks, m->control.clients[i].fd);
    mark(marks, m->upgrade.checking.verdict);
    mark(marks, m->upgrade.checking.child.pidfd);
    mark(marks, m->board.shared.fd);
    mark(marks, m->board.pages.fd);
    for (unsigned i = 0; i < held->count; i++) {
        if (held->files[i].role != PF_FILE_PROGRAM)
            mark(marks, held->files[i].fd);
    }
}

static void
close_marks(struct pf_master *m)
{
    struct pf_marks *marks = &m->to_close;

    marks->used = 0;
    mark_master(marks, m);
    for (unsigned i = 0; i < m->pool.used; i++) {
        mark(marks, m->children[i].channel);
        mark(marks, m->children[i].wire);
        mark(marks, m->children[i].process.pidfd);
        mark(marks, m->children[i].departures);
    }
    close_marked(marks);
}

/* Of the tables the child has only this one (os/memory.h), which was needed for its
 * descriptors. After on_fork() there is no *m any more. */
static void
forget_master(struct pf_master *m)
{
    close_marks(m);
    pf_master_clear_desk();
    if (m->setup.watch)
        pf_watch_close(m->setup.watch); /* it leads outside of another root directory */
    pf_memory_free(m->children, m->capacity * sizeof *m->children);
    if (m->setup.on_fork)
        m->setup.on_fork(m->setup.context);
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

/* The line in the scoreboard's file, and no way to any other; NULL: none. */
static struct pf_score *
claim_line(struct pf_master *m, const struct pf_cradle *c)
{
    bool writes = c->published && m->setup.recipe->handler != PF_HANDLER_WAIT;
    struct pf_score *line =
        writes ? pf_score_file_claim(m->setup.score_file, c->slot) : NULL;

    if (m->setup.score_file)
        pf_score_file_leave(m->setup.score_file);
    return line;
}

PF_NORETURN static void
become_worker(struct pf_master *m, struct pf_cradle *c, pid_t master, uint32_t random)
{
    struct pf_heritage heritage = {
        .recipe = m->setup.recipe,
        .listeners = m->setup.listeners,
        .seat = {.slot = pf_board_claim(&m->board, c->slot),
                 .hints = m->board.hints,
                 .wake_fd = m->wake,
                 .epoch = m->board.epoch,
                 .published = claim_line(m, c)},
        .turn = *m->setup.turn,
        .pass_fd = m->pass,
        .channel = c->worker_channel,
        .wire = c->worker_wire,
        .departures = c->departures,
        .dequeue = c->kind == PF_KIND_DEQUEUE,
        .random = random,
        .master = master,
        .kept = m->store.fd >= 0,
    };

    if (m->notices >= 0 && pf_notice_name(m->notices, heritage.notify) < 0)
        heritage.notify[0] = '\0'; /* then ready_delay decides */
    pf_fd_close(&c->channel);
    pf_fd_close(&c->wire);
    pf_listeners_forget_handed(m->setup.listeners);
    forget_master(m);
    if (!heritage.seat.slot)
        _exit(PF_WORKER_EXIT_SETUP);
    pf_worker_main(&heritage);
}

/* The channel (of a program that was taken over: closed long ago) is watched only if the
 * end of file on it means something by itself: a program that accepts runs. What
 * other workers say there are last words, read when they are reaped, or announced on
 * their page; watching for them would wake the master twice for each end. */
int
pf_master_watch_child(struct pf_master *m, const struct pf_cradle *c,
                      const struct pf_process *process)
{
    int r = pf_wait_add(&m->wait, process->pidfd, pf_tag(PF_TAG_EXIT, c->slot));

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
    uint32_t random = pf_pool_random(&m->pool);
    struct pf_process process;
    pid_t master = getpid();
    int r;

    if (app->pre_fork_hook)
        app->pre_fork_hook(pf_master_kind(c->kind), app->data);
    pf_tls_before_fork(m->setup.listeners, m->now);
    if (app->pre_fork_hook || app->register_child)
        (void)fflush(NULL); /* what they print, between births (act.c) */
    r = pf_process_fork(&process);
    if (r == 0)
        become_worker(m, c, master, random);
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
