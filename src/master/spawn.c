/* The only place that forks a worker. The child never returns from here.
 *
 * A worker needs a page on the board, a channel and a process. Whatever of it is refused,
 * what was made before is given back and the refusal is a fact: births pause and are tried
 * again.
 *
 * In the child, first of all, the master's descriptors are closed: a worker that held a
 * copy of a sibling's channel would keep that sibling from noticing the master's death. */
#include "link/channel.h"
#include "link/heritage.h"
#include "log/log.h"
#include "master/master.h"
#include "master/tags.h"
#include "net/tls.h"
#include "os/fd.h"
#include "os/memory.h"
#include "os/signal.h"
#include "worker/worker.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* There are two descriptors for every sibling, and closing them one by one would make a
 * birth dear in a large pool. They are marked in a map, and each unbroken run of marks is
 * closed by one call. */
enum {
    MAP_BITS = 65536, /* descriptors beyond are closed singly */
    WORD_BITS = 64,
};

struct map {
    unsigned used; /* words of the map in use; those beyond may be anything */
    uint64_t words[MAP_BITS / WORD_BITS];
};

static void
mark(struct map *map, int fd)
{
    unsigned word = (unsigned)fd / WORD_BITS;

    if (fd < 0)
        return;
    if (!map || fd >= MAP_BITS) {
        (void)close(fd);
        return;
    }
    for (; map->used <= word; map->used++)
        map->words[map->used] = 0;
    map->words[word] |= (uint64_t)1 << fd % WORD_BITS;
}

static bool
is_marked(const struct map *map, unsigned fd)
{
    return fd < map->used * WORD_BITS && (map->words[fd / WORD_BITS] >> fd % WORD_BITS & 1);
}

static void
close_marked(const struct map *map)
{
    for (unsigned fd = 0; fd < map->used * WORD_BITS; fd++) {
        unsigned first = fd;
        while (is_marked(map, fd))
            fd++;
        if (fd > first)
            (void)close_range(first, fd - 1, 0);
    }
}

static void
close_siblings(struct pf_master *m)
{
    struct map *map = pf_memory_new(sizeof *map);

    for (unsigned i = 0; i < m->pool.used; i++) {
        mark(map, m->children[i].channel);
        mark(map, m->children[i].process.pidfd);
    }
    if (map)
        close_marked(map);
    pf_memory_free(map, sizeof *map);
}

/* After on_fork() there is no *m any more. */
static void
forget_master(struct pf_master *m)
{
    close_siblings(m);
    pf_wait_close(&m->wait);
    pf_signal_close(&m->signals);
    pf_board_leave(&m->board);
    pf_master_drop_tables(m);
    if (m->setup.on_fork)
        m->setup.on_fork(m->setup.context);
}

PF_NORETURN static void
become_worker(struct pf_master *m, unsigned slot, int channel, pid_t master,
              uint32_t random)
{
    struct pf_heritage heritage = {
        .recipe = m->setup.recipe,
        .listeners = m->setup.listeners,
        .seat = {.slot = pf_board_claim(&m->board, slot),
                 .hints = m->board.hints,
                 .wake_fd = m->wake},
        .pass_fd = m->pass,
        .channel = channel,
        .random = random,
        .master = master,
    };

    forget_master(m);
    if (!heritage.seat.slot)
        _exit(PF_WORKER_EXIT_SETUP);
    pf_worker_main(&heritage);
}

/* The channel is watched only if the end of file on it means something by itself: a
 * program that accepts has become ready. What other workers say there are last words, read
 * when they are reaped; watching for them would wake the master twice for each end. */
static int
watch(struct pf_master *m, unsigned slot, const struct pf_process *process, int channel)
{
    int r = pf_wait_add(&m->wait, process->pidfd, pf_tag(PF_TAG_EXIT, slot));

    if (r == 0 && m->setup.recipe->handler == PF_HANDLER_WAIT)
        r = pf_wait_add(&m->wait, channel, pf_tag(PF_TAG_CHANNEL, slot));
    return r;
}

/* Keep what the master needs of the new worker. One whose end would not be seen must not
 * live. */
static int
adopt(struct pf_master *m, unsigned slot, struct pf_process *process, int channel)
{
    int r = watch(m, slot, process, channel);

    if (r < 0) {
        pf_process_abandon(process);
        return r;
    }
    m->children[slot] = (struct pf_child){.process = *process, .channel = channel};
    pf_pool_born(&m->pool, slot, process->pid, m->now);
    return 0;
}

static int
fork_worker(struct pf_master *m, unsigned slot)
{
    const struct prefork_app *app = &m->setup.recipe->app;
    uint32_t random = pf_pool_random(&m->pool);
    struct pf_process process;
    pid_t master = getpid();
    int worker_end = -1;
    int channel = -1;
    int r = pf_channel_open(&channel, &worker_end);

    if (r < 0)
        return r;
    if (app->pre_fork_hook)
        app->pre_fork_hook(app->data);
    pf_tls_before_fork(m->setup.listeners, m->now);
    (void)fflush(NULL); /* or the child would print it again */
    r = pf_process_fork(&process);
    if (r == 0) {
        pf_fd_close(&channel);
        become_worker(m, slot, worker_end, master, random);
    }
    pf_fd_close(&worker_end);
    if (r > 0)
        r = adopt(m, slot, &process, channel);
    if (r < 0)
        pf_fd_close(&channel);
    else if (app->register_child)
        app->register_child(process.pid, app->data);
    return r;
}

bool
pf_master_spawn(struct pf_master *m)
{
    unsigned slot = pf_pool_vacant(&m->pool);
    int r;

    if (slot == m->pool.capacity)
        return false;
    r = pf_board_fresh(&m->board, slot);
    if (r == 0)
        r = fork_worker(m, slot);
    if (r < 0)
        pf_log(PREFORK_LOG_WARNING, "cannot start a worker: %s; trying again soon",
               strerror(-r));
    return r >= 0;
}
