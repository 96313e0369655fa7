/* The master on one page.
 *
 * Facts in, plan, act, tell: pf_master_run() is that line. What needs no plan is tended
 * behind it: logs, the server's own files, what was asked from outside, the scoreboard's
 * totals, the service manager, and what is stored for a next master.
 *
 * Everything a turn needs is allocated before the loop: tables sized for max_servers and
 * the room that TTIN may add. Nothing after pf_master_open() allocates, and nothing after
 * it may exit. */
#include "master/master.h"

#include "master/tags.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/memory.h"
#include "os/signal.h"
#include "os/wake.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The workers there may be, twice over, so that TTIN has room; those that there are more
 * while generations change; and the dequeue processes. */
unsigned
pf_master_capacity(const struct pf_policy *policy)
{
    return 2 * policy->max_servers + 16 + policy->reload_surge + policy->max_dequeue;
}

static int
allocate(struct pf_master *m, unsigned capacity)
{
    m->slots = pf_memory_new_own(capacity * sizeof *m->slots);
    m->children = pf_memory_new_own(capacity * sizeof *m->children);
    m->capacity = capacity;
    if (!m->slots || !m->children)
        return -ENOMEM;
    for (unsigned i = 0; i < capacity; i++)
        m->children[i] = (struct pf_child){
            .process.pidfd = -1, .channel = -1, .wire = -1, .departures = -1};
    return 0;
}

/* The board and the bells, which workers may have already; there were none of them in a
 * server without workers. */
static int
open_board(struct pf_master *m)
{
    int r;

    if (m->setup.from && m->setup.from->slots > 0)
        return pf_master_adopt_board(m, m->setup.from);
    r = pf_board_open(&m->board, m->capacity);
    if (r < 0)
        return r;
    m->wake = pf_wake_open();
    if (m->wake < 0)
        return m->wake;
    m->pass = pf_wake_open();
    return m->pass < 0 ? m->pass : 0;
}

bool
pf_master_runs_programs(const struct pf_master *m)
{
    enum pf_handler handler = m->setup.recipe->handler;

    return handler == PF_HANDLER_NOWAIT || handler == PF_HANDLER_WAIT;
}

static int
open_ears(struct pf_master *m)
{
    int r = pf_wait_open(&m->wait);

    if (r < 0)
        return r;
    m->signals = pf_signal_open(m->setup.recipe->passthrough);
    if (m->signals < 0)
        return m->signals;
    r = pf_wait_add(&m->wait, m->signals, pf_tag(PF_TAG_SIGNAL, 0));
    return r < 0 ? r : pf_wait_add(&m->wait, m->wake, pf_tag(PF_TAG_WAKE, 0));
}

/* Whoever lives already keeps its slot. */
static unsigned
capacity_for(const struct pf_master_setup *setup)
{
    unsigned capacity = pf_master_capacity(setup->policy);
    unsigned needed = setup->from ? pf_state_slots_needed(setup->from) : 0;

    return capacity > needed ? capacity : needed;
}

/* The pool, with those in it who live already. */
static void
open_pool(struct pf_master *m)
{
    const struct pf_master_setup *setup = &m->setup;

    pf_pool_init(&m->pool, m->slots, m->capacity, setup->seed, m->now);
    m->pool.no_queue = setup->listeners->count == 0;
    m->pool.only_requests_prove = setup->recipe->handler == PF_HANDLER_NOWAIT;
    if (setup->from)
        pf_master_adopt_workers(m, setup->from);
}

static void
open_control(struct pf_master *m)
{
    if (m->setup.from)
        pf_master_adopt_control(m, m->setup.from);
    else
        pf_control_open(m);
}

/* What was handed over is still there for whoever goes on with it. */
static void
forget_handed(struct pf_master *m)
{
    if (!m->setup.from)
        return;
    m->wake = -1;
    m->pass = -1;
    m->notices = -1;
    m->board.pages.fd = -1;
    m->board.shared.fd = -1;
}

static int
fail_to_open(struct pf_master *m, int r, struct pf_error *error)
{
    forget_handed(m);
    pf_master_close(m);
    return pf_error_set(error, PREFORK_EXIT_SYSTEM, -r,
                        "cannot set up a pool of up to %u workers: %s",
                        m->policy.max_servers, strerror(-r));
}

int
pf_master_open(struct pf_master *m, const struct pf_master_setup *setup,
               struct pf_error *error)
{
    unsigned capacity = capacity_for(setup);
    int r;

    *m = (struct pf_master){
        .setup = *setup,
        .policy = *setup->policy,
        .herald = setup->herald,
        .store = PF_STORE_NONE,
        .wait.fd = -1,
        .signals = -1,
        .wake = -1,
        .pass = -1,
        .notices = -1,
        .board.pages.fd = -1,
        .board.shared.fd = -1,
        .upgrade.checking = PF_CHECKING_NONE,
        .is_init = getpid() == 1,
    };
    pf_control_init(&m->control);
    pf_fd_limit_raise();
    r = allocate(m, capacity);
    if (r == 0)
        r = pf_parting_open(&m->parting);
    if (r == 0)
        r = pf_upgrade_open(m);
    if (r == 0)
        r = open_board(m);
    if (r == 0)
        r = open_ears(m);
    if (r == 0)
        r = pf_master_open_notices(m);
    if (r == 0)
        r = pf_store_open(m, setup->keeper, setup->fdstore);
    if (r == 0)
        r = pf_master_open_patrol(m);
    if (r == 0 && pf_master_runs_programs(m))
        r = pf_process_adopt_orphans();
    if (r < 0)
        return fail_to_open(m, r, error);
    m->now = pf_clock_now();
    m->deadline = m->now;
    open_pool(m);
    pf_master_open_desk(m);
    pf_master_tend_outlets(m);
    pf_master_open_files(m);
    open_control(m);
    pf_upgrade_begin(m);
    return 0;
}

bool
pf_master_is_ready(const struct pf_master *m)
{
    const struct pf_pool *pool = &m->pool;

    return pool->count[PF_LIFE_IDLE] + pool->count[PF_LIFE_BUSY] > 0 ||
           m->policy.sizing == PF_SIZING_ONDEMAND;
}

static void
announce(struct pf_master *m)
{
    const struct pf_pool *pool = &m->pool;

    if (m->announced || pool->stop != PF_STOP_NONE)
        return;
    if (pf_master_is_ready(m)) {
        m->announced = true;
        if (m->setup.on_ready)
            m->setup.on_ready(m->setup.context);
    } else if (!m->gave_up && pf_backoff_cautious(&pool->start) && m->setup.on_bad_start) {
        m->gave_up = m->setup.on_bad_start(m->setup.context);
    }
}

static void
measure(struct pf_master *m)
{
    pf_time turn = pf_clock_now() - m->now;

    if (turn > m->longest_turn)
        m->longest_turn = turn;
}

void
pf_master_run(struct pf_master *m)
{
    struct pf_plan *plan = &m->plan;

    /* Before there was a signalfd nobody said so; and of those who were taken over some
     * may be no children. */
    m->reap_at = m->now;
    m->asks_for_each = true;
    do {
        pf_master_collect(m); /* sleep, then gather facts */
        pf_plan_make(plan, &m->pool, &m->policy, m->now);
        pf_master_act(m, plan);  /* fork, ask, signal, bury */
        pf_master_tell(m, plan); /* say what was done and why */
        announce(m);
        pf_master_tend_outlets(m);
        pf_master_tend_files(m);
        pf_master_tend_upgrade(m);
        pf_control_tend(m);
        pf_master_publish_strangers(m);
        pf_master_publish_totals(m);
        pf_master_herald(m);
        pf_master_store(m);
        measure(m);
    } while (!plan->finished);
    pf_master_sweep_orphans(m);
}

static void
free_tables(struct pf_master *m)
{
    pf_master_close_patrol(m);
    pf_store_close(&m->store);
    pf_parting_close(&m->parting);
    pf_memory_free(m->children, m->capacity * sizeof *m->children);
    pf_memory_free(m->slots, m->capacity * sizeof *m->slots);
    m->children = NULL;
    m->slots = NULL;
}

void
pf_master_close(struct pf_master *m)
{
    pf_master_clear_desk();
    pf_control_close(&m->control);
    pf_signal_close(&m->signals); /* they stay blocked (master/startup.c) */
    pf_fd_close(&m->wake);
    pf_fd_close(&m->pass);
    pf_fd_close(&m->notices);
    pf_wait_close(&m->wait);
    pf_board_close(&m->board);
    pf_upgrade_close(m);
    free_tables(m);
}
