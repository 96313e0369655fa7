/* What a worker leaves behind when it ends.
 *
 * SIGCHLD says once for many that somebody did; who that is, is asked of the kernel, one
 * after the other. A worker that another process gave birth to has a pidfd instead.
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
#include "os/signal.h"
#include "os/wake.h"

#include <errno.h>
#include <signal.h>

enum { FEW = 1000 };

#define GATHERING (PF_SECOND / 4)

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
    if (child->process.pidfd >= 0)
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

/* The slot of a worker that lives, or was so far; pool.used: it is nobody's. */
static unsigned
slot_of(const struct pf_master *m, pid_t pid)
{
    unsigned i = 0;

    while (i < m->pool.used &&
           !(pf_life_alive(m->pool.slots[i].life) && m->pool.slots[i].pid == pid))
        i++;
    return i;
}

static bool
is_ours(void *context, pid_t pid)
{
    const struct pf_master *m = context;

    return pid == m->upgrade.checking.child.pid || slot_of(m, pid) < m->pool.used;
}

static bool
reaps_others(const struct pf_master *m)
{
    return pf_master_runs_programs(m) || m->setup.recipe->app.other_child_died_hook ||
           m->is_init;
}

static void
reap_other(struct pf_master *m, pid_t pid)
{
    const struct prefork_app *app = &m->setup.recipe->app;
    struct pf_process other = {.pid = pid, .pidfd = -1};
    int status;

    if (pf_process_reap(&other, &status) == 0 && app->other_child_died_hook)
        app->other_child_died_hook(pid, status, app->data);
}

/* False: it is not for us to reap. */
static bool
reap_one(struct pf_master *m, pid_t pid)
{
    unsigned slot = slot_of(m, pid);

    if (slot < m->pool.used)
        pf_master_reap(m, slot);
    else if (pid == m->upgrade.checking.child.pid)
        pf_master_checked(m);
    else if (reaps_others(m))
        reap_other(m, pid);
    else
        return false;
    return true;
}

/* Reap a child of ours if it has ended. -ECHILD: somebody else had. One that is adopted has
 * a pidfd, and whatever it sends is no news of its end. */
static int
reap_if_ended(struct pf_master *m, unsigned slot)
{
    const struct pf_process *process = &m->children[slot].process;
    int ended = 0;

    if (pf_life_alive(m->pool.slots[slot].life) && !process->adopted)
        ended = pf_process_has_ended(process);
    if (ended != 0)
        pf_master_reap(m, slot);
    return ended;
}

static void
reap_each(struct pf_master *m)
{
    for (unsigned i = 0; i < m->pool.used; i++)
        (void)reap_if_ended(m, i);
    pf_master_checked(m);
}

/* The kernel goes through all children to find one that has ended, or that none has. In a
 * large pool that is put off, unless there are likely to be more than the one it named. */
static pf_time
when_to_ask(const struct pf_master *m)
{
    bool at_once = m->pool.used <= FEW || m->pool.stop != PF_STOP_NONE || m->many_end ||
                   m->upgrade.checking.child.pid != 0;

    return at_once ? m->now : m->now + GATHERING;
}

void
pf_master_child_ended(struct pf_master *m, pid_t pid)
{
    unsigned slot = slot_of(m, pid);

    if (slot < m->pool.used && reap_if_ended(m, slot) < 0)
        m->asks_for_each = true;
    m->reap_at = pf_time_earlier(m->reap_at, when_to_ask(m));
}

/* Who is not ours to reap stays in front of those behind it; and where a hook has waited
 * for one of ours, it may have had others. Either is rare: then each worker is looked at.
 */
void
pf_master_reap_ended(struct pf_master *m)
{
    pid_t pid;

    if (m->now < m->reap_at)
        return;
    m->reap_at = PF_NEVER;
    pid = pf_process_ended();
    m->many_end = pid != 0;
    while (pid != 0 && reap_one(m, pid))
        pid = pf_process_ended();
    if (pid != 0 || m->asks_for_each)
        reap_each(m);
    m->asks_for_each = false;
}

/* There is nothing to be decided any more. */
static void
drain(struct pf_master *m)
{
    pid_t sender;

    while (pf_signal_next(m->signals, &sender) != 0)
        continue;
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
        drain(m);
        m->reap_at = m->now;
        pf_master_reap_ended(m);
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
