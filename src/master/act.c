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
#include <stdio.h>
#include <string.h>

static bool
is_program(const struct pf_master *m)
{
    return m->setup.recipe->handler == PF_HANDLER_WAIT;
}

/* A program that accepts by itself knows SIGTERM as the request to leave. */
static bool
ask(struct pf_master *m, const struct pf_action *a)
{
    struct pf_child *child = &m->children[a->slot];

    if (!pf_life_serving(m->pool.slots[a->slot].life))
        return false;
    if (is_program(m))
        pf_process_signal(&child->process, SIGTERM);
    else if (child->channel >= 0)
        (void)pf_channel_send(child->channel, PF_MESSAGE_LEAVE, 0); /* or it is gone */
    pf_pool_asked(&m->pool, a->slot, a->reason, m->now);
    return true;
}

/* The request that was too long, or that nobody waits for any more, has ended meanwhile. */
static bool
is_stale(const struct pf_master *m, const struct pf_action *a)
{
    const struct pf_board_slot *s = pf_board_slot(&m->board, a->slot);
    const struct pf_told *told = &m->pool.slots[a->slot].told;

    if (a->reason == PF_REASON_SLOW_START)
        return s && !is_program(m) && atomic_load(&s->state) != PF_BOARD_STARTING;
    if (a->reason == PF_REASON_CLIENT_GONE && is_program(m))
        return false; /* the kernel said so in this turn */
    return (a->reason == PF_REASON_SLOW_REQUEST || a->reason == PF_REASON_CLIENT_GONE) &&
           s &&
           (atomic_load(&s->state) != PF_BOARD_BUSY ||
            atomic_load(&s->requests) != told->requests);
}

static bool
send_signal(struct pf_master *m, const struct pf_action *a, enum pf_step step, int signum)
{
    if (!pf_life_alive(m->pool.slots[a->slot].life) || is_stale(m, a))
        return false;
    pf_process_signal(&m->children[a->slot].process, signum);
    pf_pool_signalled(&m->pool, a->slot, step, a->reason, m->now);
    return true;
}

static bool
bury(struct pf_master *m, const struct pf_action *a)
{
    const struct prefork_app *app = &m->setup.recipe->app;
    const struct pf_slot *s = &m->pool.slots[a->slot];
    struct prefork_child child = {
        .pid = s->pid,
        .kind = pf_master_kind(s->kind),
        .slot = a->slot,
        .wait_status = s->wait_status,
        .requests = s->told.requests,
        .age = (double)(s->ended - s->born) / (double)PF_SECOND,
        .ready = s->was_ready,
    };

    pf_master_tell_obituary(m, a->slot);
    if (app->cleanup_dead_child_hook)
        app->cleanup_dead_child_hook(&child, app->data);
    if (app->delete_child_hook)
        app->delete_child_hook(s->pid, app->data);
    pf_pool_buried(&m->pool, a->slot);
    pf_master_publish_end(m, a->slot);
    return true;
}

static bool
close_doors(struct pf_master *m)
{
    const struct prefork_app *app = &m->setup.recipe->app;

    if (app->pre_server_close_hook)
        app->pre_server_close_hook(app->data);
    for (unsigned i = 0; i < m->setup.listeners->count; i++)
        pf_wait_remove(&m->wait, m->setup.listeners->table[i].fd);
    pf_listeners_shut(m->setup.listeners);
    m->pool.doors_closed = true;
    return true;
}

static bool
give_birth(struct pf_master *m, enum pf_kind kind)
{
    if (!pf_backoff_may_try(&m->pool.fork, m->now))
        return false; /* an earlier birth of this plan was refused */
    if (pf_master_spawn(m, kind))
        return true;
    pf_pool_fork_failed(&m->pool, m->now);
    return false;
}

static bool
act(struct pf_master *m, const struct pf_action *a)
{
    switch (a->kind) {
    case PF_ACTION_BURY: return bury(m, a);
    case PF_ACTION_CLOSE_DOORS: return close_doors(m);
    case PF_ACTION_ASK: return ask(m, a);
    case PF_ACTION_TERM: return send_signal(m, a, PF_STEP_TERM, SIGTERM);
    case PF_ACTION_KILL: return send_signal(m, a, PF_STEP_KILL, SIGKILL);
    case PF_ACTION_BIRTH: return give_birth(m, PF_KIND_WORKER);
    case PF_ACTION_DEQUEUE: return give_birth(m, PF_KIND_DEQUEUE);
    }
    return false;
}

/* Before the first of them. */
static void
announce_births(const struct pf_master *m, const struct pf_plan *plan)
{
    const struct prefork_app *app = &m->setup.recipe->app;
    unsigned births = 0;

    if (!app->run_n_children_hook)
        return;
    for (unsigned i = 0; i < plan->count; i++)
        births += plan->actions[i].kind == PF_ACTION_BIRTH;
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
        else if (!m->setup.listeners->table[i].held &&
                 pf_wait_add_once(&m->wait, fd, pf_tag(PF_TAG_DOOR, i)) < 0)
            m->deadline = pf_time_earlier(m->deadline, m->now + PF_PLAN_LOOK);
    }
}

/* A worker that the pool has as starting is ready: it was before anybody wanted to know. */
static bool
is_ready_already(const struct pf_master *m)
{
    for (unsigned i = 0; i < m->pool.used; i++) {
        const struct pf_slot *slot = &m->pool.slots[i];
        const struct pf_board_slot *s = pf_board_slot(&m->board, i);
        if (slot->life == PF_LIFE_STARTING && slot->kind == PF_KIND_WORKER && s &&
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
    bool want_ready = (plan->want_ready || !m->announced || pf_master_is_rolling_over(m)) &&
                      !is_program(m);
    bool below = pf_board_arm(&m->board, plan->wake_below, want_ready);

    if (below && m->pool.count[PF_LIFE_IDLE] >= plan->wake_below)
        m->deadline = pf_time_earlier(m->deadline, m->now + PF_MILLISECOND);
    if (want_ready && is_ready_already(m))
        m->deadline = m->now;
}

static bool
is_birth(const struct pf_plan *plan, unsigned i)
{
    return plan->actions[i].kind == PF_ACTION_BIRTH;
}

/* What hooks have printed is written before the first of several births, or each child
 * would print it again (and see spawn.c). Not before each: stdio's locks are in a page of
 * which every child would keep a copy. */
void
pf_master_act(struct pf_master *m, struct pf_plan *plan)
{
    bool births = false;

    for (unsigned i = 0; i < plan->count; i++) {
        if (is_birth(plan, i) && !births) {
            births = true;
            announce_births(m, plan);
        }
        if (is_birth(plan, i) && (i == 0 || !is_birth(plan, i - 1)))
            (void)fflush(NULL);
        plan->actions[i].done = act(m, &plan->actions[i]);
    }
    m->deadline = plan->count > 0 ? m->now : plan->deadline; /* the pool is another now */
    watch_doors(m, plan->watch_doors);
    arm(m, plan);
    m->deadline = pf_time_earlier(m->deadline, pf_master_patrol_at(m));
    m->deadline = pf_time_earlier(m->deadline, pf_master_ready_at(m));
    m->deadline = pf_time_earlier(m->deadline, m->reap_at);
    if (m->unheard)
        m->deadline = m->now;
}
