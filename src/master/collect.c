/* Events become facts.
 *
 * The only place where the master sleeps. Whatever woke it, all facts are gathered anew:
 * who ended, what workers said on their channels, what stands on the board, how many
 * connections wait. Events only say that it is time to look, so none can be lost.
 *
 * A worker that rings the bell without end costs the master a turn each time, but no
 * other worker its attention: exits and signals are in the same batch of events. */
#include "core/full.h"
#include "core/rollover.h"
#include "core/shutdown.h"
#include "core/size.h"
#include "log/log.h"
#include "master/master.h"
#include "master/tags.h"
#include "os/clock.h"
#include "os/signal.h"
#include "os/wake.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

enum {
    EVENTS_MAX = 64,
    WALKS_MAX = 8, /* through all connections, for clients that have gone */
};

static void
stop(struct pf_master *m, int signum, enum pf_stop level)
{
    const struct prefork_app *app = &m->setup.recipe->app;

    pf_log(PREFORK_LOG_NOTICE, "SIG%s: %s", pf_signal_name(signum),
           m->pool.stop == PF_STOP_NONE ? "stopping" : "stopping faster");
    if (m->pool.stop == PF_STOP_NONE && app->before_shutdown)
        app->before_shutdown(pf_signal_name(signum), app->data);
    pf_shutdown_ask(&m->pool, level, m->now);
}

/* Many may say the same, and one may say it often: that makes nothing faster. */
void
pf_master_stop(struct pf_master *m, pid_t worker, const char *reason)
{
    const struct prefork_app *app = &m->setup.recipe->app;

    if (m->pool.stop != PF_STOP_NONE)
        return;
    if (reason[0] == '\0')
        reason = "prefork_stop";
    if (worker != 0)
        pf_log(PREFORK_LOG_NOTICE, "%s (process %d): stopping", reason, (int)worker);
    else
        pf_log(PREFORK_LOG_NOTICE, "%s: stopping", reason);
    if (app->before_shutdown)
        app->before_shutdown(reason, app->data);
    pf_shutdown_ask(&m->pool, PF_STOP_FAST, m->now);
}

static void
step(struct pf_master *m, int signum, int direction)
{
    unsigned limit = m->pool.capacity - m->policy.max_dequeue - m->policy.reload_surge;
    bool done = pf_size_step(&m->policy, direction, limit);

    pf_log(PREFORK_LOG_NOTICE, "SIG%s: min_servers %u, max_servers %u%s",
           pf_signal_name(signum), m->policy.min_servers, m->policy.max_servers,
           done ? "" : " (as far as it goes)");
}

/* sig_passthrough. Functions of the program's own know what it means; what they may have
 * started does not. A program that is served is meant itself. */
static void
pass_on(struct pf_master *m, int signum)
{
    for (unsigned i = 0; i < m->pool.used; i++) {
        const struct pf_process *process = &m->children[i].process;
        int r = 0;
        if (!pf_life_alive(m->pool.slots[i].life))
            continue;
        if (pf_master_runs_programs(m))
            pf_process_signal(process, signum);
        else
            r = pf_process_signal_alone(process, signum);
        if (r < 0 && r != -ESRCH)
            pf_log(PREFORK_LOG_WARNING, "cannot pass signal %d (%s) on to process %d: %s",
                   signum, pf_signal_name(signum), (int)process->pid, strerror(-r));
        else
            pf_log(PREFORK_LOG_DEBUG, "passed signal %d (%s) on to process %d", signum,
                   pf_signal_name(signum), (int)process->pid);
    }
}

/* Each signal's one meaning to the master (docs/SIGNALS.md). */
static void
take_signal(struct pf_master *m, int signum, pid_t sender)
{
    if (pf_signal_is_in(m->setup.recipe->passthrough, signum))
        pass_on(m, signum);
    switch (signum) {
    case SIGQUIT: stop(m, signum, PF_STOP_GRACEFUL); break;
    case SIGTERM:
    case SIGINT: stop(m, signum, PF_STOP_FAST); break;
    case SIGTTIN: step(m, signum, +1); break;
    case SIGTTOU: step(m, signum, -1); break;
    case SIGHUP: (void)pf_master_ask_reload(m, "SIGHUP", NULL); break;
    case SIGUSR2: (void)pf_master_ask_restart(m, "SIGUSR2", NULL); break;
    case SIGUSR1: pf_master_reopen_outlets(m); break;
    case SIGCHLD: pf_master_child_ended(m, sender); break;
    default: break;
    }
}

static void
take_signals(struct pf_master *m)
{
    pid_t sender;
    int signum;

    while ((signum = pf_signal_next(m->signals, &sender)) != 0)
        take_signal(m, signum, sender);
}

static void
take_event(struct pf_master *m, const struct pf_wait_event *event)
{
    unsigned slot = pf_tag_slot(event->tag);

    switch (pf_tag_kind(event->tag)) {
    case PF_TAG_SIGNAL: take_signals(m); break;
    case PF_TAG_WAKE: pf_wake_hush(m->wake); break;
    case PF_TAG_DOOR: m->door_rang = true; break;
    case PF_TAG_CHANNEL: pf_master_hear(m, slot); break;
    case PF_TAG_WIRE: pf_master_talk(m, slot); break;
    case PF_TAG_CLIENT: pf_master_departed(m, slot); break;
    case PF_TAG_EXIT: pf_master_reap(m, slot); break;
    case PF_TAG_NOTICE: pf_master_hear_notices(m); break;
    case PF_TAG_KEEPER: pf_master_lose_store(m); break;
    case PF_TAG_FILES: pf_master_hear_files(m); break;
    case PF_TAG_CONTROL: pf_control_greet(m); break;
    case PF_TAG_REQUEST: pf_control_hear(m, slot); break;
    }
}

void
pf_master_read_slot(struct pf_master *m, unsigned slot)
{
    struct pf_board_slot *s = pf_board_slot(&m->board, slot);
    uint32_t state;

    if (!s || m->setup.recipe->handler == PF_HANDLER_WAIT)
        return; /* a foreign program has no seat */
    state = atomic_load(&s->state);
    pf_pool_told(&m->pool, slot,
                 &(struct pf_told){
                     .ready = state != PF_BOARD_STARTING,
                     .busy = state == PF_BOARD_BUSY || state == PF_BOARD_TO_BUSY ||
                             state == PF_BOARD_SPENT || state == PF_BOARD_APART,
                     .wants_leave = atomic_load(&s->wants_leave) != 0,
                     .requests = atomic_load(&s->requests),
                     .since = state == PF_BOARD_SPENT ? m->now : atomic_load(&s->since),
                 });
}

static void
read_board(struct pf_master *m)
{
    for (unsigned i = 0; i < m->pool.used; i++) {
        if (pf_life_alive(m->pool.slots[i].life))
            pf_master_read_slot(m, i);
    }
    pf_board_audit(&m->board, m->pool.used);
    m->pool.idle_lowest = pf_board_take_lowest(&m->board);
}

/* How long the queue is matters only when few workers are left to take from it. Where it
 * cannot be measured, a door that rang still means one connection. */
static void
measure_queue(struct pf_master *m)
{
    if (m->pool.count[PF_LIFE_IDLE] < pf_size_wake_below(&m->pool, &m->policy) ||
        pf_full_is(&m->pool, &m->policy))
        m->pool.queued = pf_listeners_queued(m->setup.listeners);
    if (m->door_rang && m->pool.queued == 0)
        m->pool.queued = 1;
    m->door_rang = false;
}

void
pf_master_collect(struct pf_master *m)
{
    struct pf_wait_event events[EVENTS_MAX];
    unsigned count = pf_wait_sleep(&m->wait, m->deadline, events, EVENTS_MAX);

    m->now = pf_clock_now();
    m->walks_left = WALKS_MAX;
    for (unsigned i = 0; i < count; i++)
        take_event(m, &events[i]);
    pf_master_reap_ended(m);
    pf_master_patrol(m);
    pf_master_heed_desk(m);
    pf_master_hear_all(m);
    pf_master_look_for_ready(m);
    read_board(m);
    measure_queue(m);
}
