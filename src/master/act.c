/* A plan is carried out, one small function per kind of action.
 *
 * Between the plan and the act a worker may have ended or finished its request; nobody is
 * signalled for what was true a moment ago. What fails here is a fact for the next plan. */
#include "core/shutdown.h"
#include "link/channel.h"
#include "log/log.h"
#include "master/master.h"
#include "master/tags.h"

#include <signal.h>
#include <string.h>

static bool
is_program(const struct pf_master *m)
{
    return m->setup.recipe->handler == PF_HANDLER_WAIT;
}

/* A program that accepts by itself knows SIGTERM as the request to leave. */
static void
ask(struct pf_master *m, const struct pf_action *a)
{
    struct pf_child *child = &m->children[a->slot];

    if (!pf_life_serving(m->pool.slots[a->slot].life))
        return;
    if (is_program(m))
        pf_process_signal(&child->process, SIGTERM);
    else if (child->channel >= 0)
        (void)pf_channel_send(child->channel, PF_MESSAGE_LEAVE,
                              0); /* gone: it ends anyway */
    pf_pool_asked(&m->pool, a->slot, a->reason);
}

/* The request that was too long has ended meanwhile. */
static bool
is_stale(const struct pf_master *m, const struct pf_action *a)
{
    const struct pf_board_slot *s = pf_board_slot(&m->board, a->slot);
    const struct pf_told *told = &m->pool.slots[a->slot].told;

    return a->reason == PF_REASON_SLOW_REQUEST && s &&
           (atomic_load(&s->state) != PF_BOARD_BUSY ||
            atomic_load(&s->requests) != told->requests);
}

static void
send_signal(struct pf_master *m, const struct pf_action *a, enum pf_step step, int signum)
{
    if (!pf_life_alive(m->pool.slots[a->slot].life) || is_stale(m, a))
        return;
    pf_process_signal(&m->children[a->slot].process, signum);
    pf_pool_signalled(&m->pool, a->slot, step, a->reason, m->now);
}

static void
bury(struct pf_master *m, const struct pf_action *a)
{
    const struct prefork_app *app = &m->setup.recipe->app;
    const struct pf_slot *s = &m->pool.slots[a->slot];
    struct prefork_child child = {
        .pid = s->pid,
        .slot = a->slot,
        .wait_status = s->wait_status,
        .requests = s->told.requests,
        .age = (double)(s->ended - s->born) / (double)PF_SECOND,
        .ready = s->was_ready,
    };

    pf_master_tell_obituary(m, a->slot);
    if (app->cleanup_dead_child_hook)
        app->cleanup_dead_child_hook(&child, app->data);
    pf_pool_buried(&m->pool, a->slot);
}

static void
close_doors(struct pf_master *m)
{
    const struct prefork_app *app = &m->setup.recipe->app;

    if (app->pre_server_close_hook)
        app->pre_server_close_hook(app->data);
    for (unsigned i = 0; i < m->setup.listeners->count; i++)
        pf_wait_remove(&m->wait, m->setup.listeners->table[i].fd);
    pf_listeners_shut(m->setup.listeners);
    m->pool.doors_closed = true;
}

static void
give_birth(struct pf_master *m)
{
    if (m->pool.fork.streak > 0 && !pf_backoff_may_try(&m->pool.fork, m->now))
        return; /* an earlier birth of this plan was refused */
    if (!pf_master_spawn(m))
        pf_pool_fork_failed(&m->pool, m->now);
}

static void
act(struct pf_master *m, const struct pf_action *a)
{
    switch (a->kind) {
    case PF_ACTION_BURY: bury(m, a); break;
    case PF_ACTION_CLOSE_DOORS: close_doors(m); break;
    case PF_ACTION_ASK: ask(m, a); break;
    case PF_ACTION_TERM: send_signal(m, a, PF_STEP_TERM, SIGTERM); break;
    case PF_ACTION_KILL: send_signal(m, a, PF_STEP_KILL, SIGKILL); break;
    case PF_ACTION_BIRTH: give_birth(m); break;
    }
}

static void
announce_births(const struct pf_master *m, const struct pf_plan *plan)
{
    const struct prefork_app *app = &m->setup.recipe->app;
    unsigned births = 0;

    if (!app->run_n_children_hook)
        return;
    for (unsigned i = 0; i < plan->count; i++)
        births += plan->actions[i].kind == PF_ACTION_BIRTH;
    if (births > 0)
        app->run_n_children_hook(births, app->data);
}

static void
watch_doors(struct pf_master *m, bool watch)
{
    if (m->pool.doors_closed || is_program(m) || (!watch && !m->watches_doors))
        return;
    m->watches_doors = watch;
    for (unsigned i = 0; i < m->setup.listeners->count; i++) {
        int fd = m->setup.listeners->table[i].fd;
        if (!watch)
            pf_wait_remove(&m->wait, fd);
        else if (pf_wait_add_once(&m->wait, fd, pf_tag(PF_TAG_DOOR, i)) < 0)
            m->deadline = pf_time_earlier(m->deadline, m->now + PF_SECOND); /* look, then */
    }
}

/* A worker that the pool has as starting is ready: it was before anybody wanted to know. */
static bool
is_ready_already(const struct pf_master *m)
{
    for (unsigned i = 0; i < m->pool.used; i++) {
        const struct pf_board_slot *s = pf_board_slot(&m->board, i);
        if (m->pool.slots[i].life == PF_LIFE_STARTING && s &&
            atomic_load(&s->state) != PF_BOARD_STARTING)
            return true;
    }
    return false;
}

/* Bounds that were passed before they were set wake nobody, so look once more after
 * setting them. */
static void
arm(struct pf_master *m, const struct pf_plan *plan)
{
    bool want_ready = (plan->want_ready || !m->announced) && !is_program(m);
    bool below = pf_board_arm(&m->board, plan->wake_below, want_ready);

    if (below && m->pool.count[PF_LIFE_IDLE] >= plan->wake_below)
        m->deadline = pf_time_earlier(m->deadline, m->now + PF_MILLISECOND);
    if (want_ready && is_ready_already(m))
        m->deadline = m->now;
}

void
pf_master_act(struct pf_master *m, const struct pf_plan *plan)
{
    announce_births(m, plan);
    for (unsigned i = 0; i < plan->count; i++)
        act(m, &plan->actions[i]);
    m->deadline = plan->deadline;
    watch_doors(m, plan->watch_doors);
    arm(m, plan);
}
