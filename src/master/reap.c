/* What a worker leaves behind when it ends.
 *
 * Its last words on the channel are read first, then it is reaped, its descriptors are
 * closed, and it is taken out of the idle count if it died there. The slot stays GONE
 * until the plan buries it.
 *
 * A master that runs programs has adopted the orphans among its descendants
 * (os/process.h). They are reaped as they end, and at the end of the server those that are
 * left are ended, for no program of the pool outlives it. Children of the program's own
 * are reaped only if it asks for that by its other_child_died_hook: somebody else may be
 * waiting for them. */
#include "log/log.h"
#include "master/master.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/wake.h"

#include <signal.h>

void
pf_master_reap(struct pf_master *m, unsigned slot)
{
    struct pf_child *child = &m->children[slot];
    struct pf_slot *s = &m->pool.slots[slot];
    int status;

    if (!pf_life_alive(s->life))
        return;
    pf_master_hear_last(m, slot);
    pf_master_talk_last(m, slot);
    pf_wait_remove(&m->wait, child->process.pidfd);
    if (pf_process_reap(&child->process, &status) < 0)
        return;
    m->store.ends_now++;
    if (child->process.adopted)
        pf_pool_excuse(&m->pool, slot);
    if (child->channel >= 0)
        pf_wait_remove(&m->wait, child->channel);
    pf_fd_close(&child->channel);
    pf_master_unwatch_departures(m, slot);
    pf_master_read_slot(m, slot); /* how far it came decides how its end is judged */
    pf_board_forget(&m->board, slot);
    pf_pool_died(&m->pool, slot, status, m->now);
    pf_turn_mend(m->setup.turn, s->pid);
    pf_wake_ring(m->pass); /* it may have been woken for a connection and died first */
}

static bool
is_ours(void *context, pid_t pid)
{
    const struct pf_master *m = context;

    if (pid == m->upgrade.checking.child.pid)
        return true; /* in a way */
    for (unsigned i = 0; i < m->pool.used; i++) {
        if (pf_life_alive(m->pool.slots[i].life) && m->pool.slots[i].pid == pid)
            return true;
    }
    return false;
}

static void
tell_other(void *context, pid_t pid, int wait_status)
{
    const struct pf_master *m = context;
    const struct prefork_app *app = &m->setup.recipe->app;

    if (app->other_child_died_hook)
        app->other_child_died_hook(pid, wait_status, app->data);
}

bool
pf_master_reaps_others(const struct pf_master *m)
{
    return pf_master_runs_programs(m) || m->setup.recipe->app.other_child_died_hook ||
           m->is_init;
}

void
pf_master_reap_orphans(struct pf_master *m)
{
    if (pf_master_reaps_others(m))
        pf_process_reap_orphans(is_ours, tell_other, m);
}

/* Ended orphans orphan their own children to us in turn, so this goes round until nobody
 * is left: politely until kill_timeout is over, then not. SIGCHLD ends each nap. */
void
pf_master_sweep_orphans(struct pf_master *m)
{
    pf_time start = pf_clock_now();
    pf_time polite = pf_time_after(start, m->policy.kill_timeout);
    pf_time last = pf_time_after(polite, m->policy.kill_timeout);
    int signum = SIGTERM;

    if (!pf_master_runs_programs(m))
        return;
    for (m->now = start; m->now < last; m->now = pf_clock_now()) {
        struct pf_wait_event event;
        unsigned left;
        pf_master_reap_orphans(m);
        left = pf_process_signal_orphans(signum, is_ours, m);
        if (left == 0)
            return;
        if (signum == SIGTERM)
            pf_log(PREFORK_LOG_INFO, "ending %u processes that programs left behind", left);
        (void)pf_wait_sleep(&m->wait, m->now < polite ? polite : m->now + PF_SECOND / 10,
                            &event, 1);
        signum = pf_clock_now() < polite ? SIGTERM : SIGKILL;
    }
}
