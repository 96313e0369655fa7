/* What this master is, as one state; and a state, as what this master is.
 *
 * Writing allocates nothing: it is done while the server runs. Nothing is closed by it, and
 * every descriptor in it stays this process's until somebody else has it.
 *
 * A worker that is taken over is a child of this process if the program was executed in its
 * place, and somebody else's if the last master died: then a pidfd says when it ends. One
 * that ended meanwhile, or whose number belongs to a stranger by now, is left out if it is
 * not a child, and reaped before the first turn if it is. */
#include "link/state.h"

#include "core/rollover.h"
#include "log/log.h"
#include "log/outlet.h"
#include "master/master.h"
#include "os/fd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- writing --------------------------------------------------------------------------
 */

static void
fill_board(const struct pf_master *m, struct pf_state *s)
{
    s->slots = m->capacity;
    s->slot_bytes = sizeof(struct pf_board_slot);
    s->fds[PF_STATE_FD_BOARD] = m->board.pages.fd;
    s->fds[PF_STATE_FD_HINTS] = m->board.shared.fd;
    s->fds[PF_STATE_FD_WAKE] = m->wake;
    s->fds[PF_STATE_FD_PASS] = m->pass;
    s->fds[PF_STATE_FD_NOTICES] = m->notices;
}

/* What stands beside its place is nobody's until it is there. */
static void
fill_score_file(const struct pf_master *m, struct pf_state *s)
{
    const struct pf_score_file *file = m->setup.score_file;
    const struct pf_state *from = m->setup.from;

    s->score_used = m->score_used;
    if (file && file->fd >= 0 && !file->beside) {
        (void)snprintf(s->score_file, sizeof s->score_file, "%s", file->path);
        s->score_number = file->number;
        s->fds[PF_STATE_FD_SCORE] = file->fd;
        s->fds[PF_STATE_FD_PAGES] = file->page_fd;
    } else if (from) {
        (void)snprintf(s->score_file, sizeof s->score_file, "%s", from->score_file);
        s->score_number = from->score_number;
        s->fds[PF_STATE_FD_SCORE] = from->fds[PF_STATE_FD_SCORE];
        s->fds[PF_STATE_FD_PAGES] = from->fds[PF_STATE_FD_PAGES];
    }
}

static void
fill_pool(const struct pf_master *m, struct pf_state *s)
{
    const struct pf_pool *pool = &m->pool;

    s->max_servers = m->policy.max_servers;
    s->births = pool->births;
    s->births_at_failure = pool->births_at_failure;
    s->outdated_after = pool->outdated_after;
    s->outdated = pool->outdated;
    s->size = pool->rollover.size;
    s->surge = pool->rollover.surge;
    s->requests = pool->requests_buried;
}

static struct pf_state_worker
describe_worker(const struct pf_master *m, unsigned slot)
{
    const struct pf_slot *p = &m->pool.slots[slot];
    struct pf_child *child = &m->children[slot];

    if (child->start == 0 && m->store.fd >= 0) /* only a stranger needs to know */
        child->start = pf_process_start_time(p->pid);
    return (struct pf_state_worker){
        .slot = slot,
        .kind = p->kind,
        .life = p->life,
        .step = p->step,
        .reason = p->reason,
        .pid = p->pid,
        .start = child->start,
        .birth = p->birth,
        .born = p->born,
        .asked = p->asked,
        .signalled = p->signalled,
        .was_ready = p->was_ready,
        .exempt = p->exempt,
        .adopted = child->process.adopted,
        .channel = child->channel,
        .wire = child->wire,
        .departures = child->departures,
        .score = child->score,
        .log_kind = child->log_kind,
    };
}

void
pf_master_fill_workers(const struct pf_master *m, struct pf_state *s)
{
    fill_pool(m, s);
    s->worker_count = 0;
    for (unsigned i = 0; i < m->pool.used && s->worker_count < s->worker_capacity; i++) {
        if (pf_life_alive(m->pool.slots[i].life))
            s->workers[s->worker_count++] = describe_worker(m, i);
    }
}

void
pf_master_fill_control(const struct pf_master *m, struct pf_state *s)
{
    int fds[PF_STATE_WAITERS_MAX];
    uint64_t numbers[PF_STATE_WAITERS_MAX];

    s->fds[PF_STATE_FD_CONTROL] = pf_control_listener_fd(m);
    s->waiter_count = pf_control_waiters(m, fds, numbers);
    for (unsigned i = 0; i < s->waiter_count; i++)
        s->waiters[i] = (struct pf_state_waiter){.fd = fds[i], .number = numbers[i]};
}

void
pf_master_fill_state(const struct pf_master *m, struct pf_state *s)
{
    pf_succession_describe(s, &(struct pf_belongings){.name = m->setup.recipe->name,
                                                      .generation = m->upgrade.generation,
                                                      .reload = m->upgrade.number,
                                                      .daemonized = m->setup.daemonized,
                                                      .herald = &m->setup.herald,
                                                      .keeper = m->setup.keeper,
                                                      .listeners = m->setup.listeners,
                                                      .held = m->setup.held});
    s->wanted = m->upgrade.wanted;
    s->stored = m->store.number;
    fill_board(m, s);
    fill_score_file(m, s);
    pf_master_fill_workers(m, s);
    pf_master_fill_control(m, s);
}

/* ---- reading --------------------------------------------------------------------------
 */

unsigned
pf_state_slots_needed(const struct pf_state *s)
{
    unsigned needed = 0;

    for (unsigned i = 0; i < s->worker_count; i++) {
        if (s->workers[i].slot >= needed)
            needed = s->workers[i].slot + 1;
    }
    return needed;
}

/* A worker has to see that our log is another file than that of the same number before. */
static void
succeed_outlets(const struct pf_master *m)
{
    for (unsigned i = 0; i < PF_OUTLET_COUNT; i++)
        pf_outlet_succeed((enum pf_outlet)i, pf_board_outlet(&m->board, (enum pf_outlet)i));
}

int
pf_master_adopt_board(struct pf_master *m, const struct pf_state *s)
{
    int r;

    m->wake = s->fds[PF_STATE_FD_WAKE];
    m->pass = s->fds[PF_STATE_FD_PASS];
    if (m->wake < 0 || m->pass < 0 || s->slot_bytes != sizeof(struct pf_board_slot))
        return -EBADMSG;
    r = pf_board_adopt(&m->board, s->fds[PF_STATE_FD_BOARD], s->fds[PF_STATE_FD_HINTS],
                       m->capacity);
    if (r == 0)
        succeed_outlets(m);
    return r;
}

/* Is what stands there possible at all? */
static bool
is_sane(const struct pf_master *m, const struct pf_state_worker *w)
{
    return w->slot < m->capacity && w->pid > 0 && w->birth > 0 &&
           w->kind <= PF_KIND_DEQUEUE && w->life < PF_LIFE_COUNT_OF &&
           pf_life_alive((enum pf_life)w->life) && w->step <= PF_STEP_KILL &&
           w->reason < PF_REASON_COUNT_OF && m->pool.slots[w->slot].life == PF_LIFE_VACANT;
}

/* Somebody else's child stays that over every exec. */
static int
find_process(const struct pf_state *s, const struct pf_state_worker *w,
             struct pf_process *ret_process)
{
    if (s->kind == PF_STATE_ADOPT || w->adopted)
        return pf_process_adopt(w->pid, w->start, ret_process);
    *ret_process = (struct pf_process){.pid = w->pid, .pidfd = -1};
    return 0;
}

/* If it lives it leaves, because nobody has the other end of its channel. */
static void
leave_out(const struct pf_state_worker *w, struct pf_process *process, int r)
{
    int ends[] = {w->channel, w->wire, w->departures, process->pidfd};

    pf_log(PREFORK_LOG_WARNING, "worker %d is not taken over: %s", (int)w->pid,
           strerror(-r));
    for (unsigned i = 0; i < PF_COUNT(ends); i++)
        pf_fd_close(&ends[i]);
}

static void
adopt_worker(struct pf_master *m, const struct pf_state *s, const struct pf_state_worker *w)
{
    struct pf_child *child = &m->children[w->slot];
    const struct pf_cradle ends = {.slot = w->slot,
                                   .kind = (enum pf_kind)w->kind,
                                   .channel = w->channel,
                                   .wire = w->wire,
                                   .departures = w->departures};
    struct pf_process process = {.pidfd = -1};
    int r = is_sane(m, w) ? find_process(s, w, &process) : -EBADMSG;

    if (r == 0)
        r = pf_master_watch_child(m, &ends, &process);
    if (r < 0) {
        leave_out(w, &process, r);
        return;
    }
    *child = (struct pf_child){.process = process,
                               .start = w->start,
                               .channel = w->channel,
                               .wire = w->wire,
                               .departures = w->departures,
                               .score = w->score,
                               .log_kind = w->log_kind};
    pf_board_adopt_slot(&m->board, w->slot, w->kind == PF_KIND_WORKER);
    pf_pool_adopt(&m->pool, w->slot,
                  &(struct pf_adopted){
                      .life = (enum pf_life)w->life,
                      .kind = (enum pf_kind)w->kind,
                      .step = (enum pf_step)w->step,
                      .reason = (enum pf_reason)w->reason,
                      .pid = w->pid,
                      .birth = w->birth,
                      .born = w->born,
                      .asked = w->asked,
                      .signalled = w->signalled,
                      .was_ready = w->was_ready,
                      .exempt = w->exempt,
                  });
    pf_master_read_slot(m, w->slot); /* it may be further by now */
}

static void
resume_replacing(struct pf_pool *pool, const struct pf_state *s)
{
    pf_pool_outdate_range(pool, s->outdated_after, s->outdated);
    if (s->surge > 0) {
        pool->rollover.size = s->size;
        pool->rollover.surge = s->surge;
    }
}

void
pf_master_adopt_workers(struct pf_master *m, const struct pf_state *s)
{
    m->pool.births = s->last_birth > s->births ? s->last_birth : s->births;
    m->pool.births_at_failure = s->births_at_failure;
    m->pool.requests_buried = s->requests;
    m->score_used = s->score_used;
    for (unsigned i = 0; i < s->worker_count; i++)
        adopt_worker(m, s, &s->workers[i]);
    if (s->outdated > 0)
        resume_replacing(&m->pool, s);
    m->announced = s->kind != PF_STATE_ADOPT;
}

void
pf_master_adopt_control(struct pf_master *m, const struct pf_state *s)
{
    int fds[PF_STATE_WAITERS_MAX];
    uint64_t numbers[PF_STATE_WAITERS_MAX];

    for (unsigned i = 0; i < s->waiter_count; i++) {
        fds[i] = s->waiters[i].fd;
        numbers[i] = s->waiters[i].number;
    }
    pf_control_adopt(m, s->fds[PF_STATE_FD_CONTROL], fds, numbers, s->waiter_count);
}
