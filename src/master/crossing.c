/* Across execve(2), forward and back.
 *
 * The hooks of the program that goes run first, and once more in it if nothing came of it.
 * What goes along is put together in the memory that was taken for it at the start
 * (succession.c): nothing is allocated here. Signals are blocked in a master; so one that
 * comes in between stays pending, and is the next program's first fact.
 *
 * Forward nothing of this program's is touched. Back, what the trial has opened is given
 * back first, since it would be in the way of who had it. */
#include "master/crossing.h"

#include "core/trial.h"
#include "master/control.h"
#include "master/master.h"
#include "net/handed.h"
#include "net/tls.h"
#include "os/fd.h"
#include "os/signal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#define SEEING_OFF PF_SECOND /* of workers that nobody will look after */

static void
call(const struct pf_master *m, void (*hook)(void *data))
{
    if (hook)
        hook(m->setup.recipe->app.data);
}

/* What a hook has asked for would be forgotten with the program. */
static bool
is_stopped(struct pf_master *m)
{
    pf_master_heed_desk(m);
    if (m->pool.stop == PF_STOP_NONE)
        return false;
    m->deadline = m->now;
    return true;
}

/* False: the server is to end instead. */
static bool
close_shared(struct pf_master *m)
{
    const struct prefork_app *app = &m->setup.recipe->app;

    call(m, app->restart_close_hook);
    if (!is_stopped(m))
        return true;
    call(m, app->restart_open_hook);
    return false;
}

/* Returns if it is refused. */
static int
cross(struct pf_master *m, int exe)
{
    int r;

    pf_signal_hand_over();
    r = pf_succession_exec(&m->upgrade.next, m->setup.image, exe);
    pf_signal_take_back();
    call(m, m->setup.recipe->app.restart_open_hook);
    return r;
}

int
pf_crossing_forward(struct pf_master *m)
{
    struct pf_state *s = m->upgrade.next.state;
    int r;

    if (!close_shared(m))
        return -ECANCELED;
    pf_master_fill_state(m, s);
    s->kind = PF_STATE_TRIAL;
    s->fds[PF_STATE_FD_TICKETS] = pf_tls_hand_over(m->setup.listeners, m->now);
    r = cross(m, -1);
    pf_fd_close(&s->fds[PF_STATE_FD_TICKETS]);
    return r;
}

/* ---- back ------------------------------------------------------------------------------
 */

/* They leave because nobody has the other ends of their channels; or, after that, at once.
 */
static void
see_off(struct pf_master *m)
{
    pf_time deadline = pf_time_after(m->now, SEEING_OFF);

    for (unsigned i = 0; i < m->pool.used; i++)
        pf_fd_close(&m->children[i].channel);
    for (unsigned i = 0; i < m->pool.used; i++) {
        struct pf_process *process = &m->children[i].process;
        if (!pf_life_alive(m->pool.slots[i].life))
            continue;
        if (!pf_process_ends_by(process, deadline))
            pf_process_signal(process, SIGKILL);
        pf_process_abandon(process);
    }
}

/* Where there were no workers, nobody would look after those of the trial, and nobody could
 * be answered. */
static void
leave_alone(struct pf_master *m, struct pf_state *s)
{
    see_off(m);
    pf_control_close(&m->control);
    s->worker_count = 0;
    s->waiter_count = 0;
    s->births = s->outdated_after = s->outdated = 0;
    s->fds[PF_STATE_FD_CONTROL] = -1;
}

/* All as it was handed over, but for the workers, of which there are more now. */
static void
describe_return(struct pf_master *m, const char *reason)
{
    struct pf_state *s = m->upgrade.next.state;
    const struct pf_state *from = m->setup.from;
    struct pf_state_worker *workers = s->workers;

    *s = *from;
    s->workers = workers;
    s->worker_capacity = m->upgrade.next.capacity;
    s->kind = PF_STATE_ROLLBACK;
    (void)snprintf(s->reason, sizeof s->reason, "%s", reason);
    pf_master_fill_workers(m, s);
    s->reload = m->upgrade.number;
    s->wanted = m->upgrade.wanted;
    s->score_used = m->score_used;
    pf_master_fill_control(m, s);
    if (from->slots == 0)
        leave_alone(m, s);
}

int
pf_crossing_back(struct pf_master *m, const char *reason)
{
    if (!close_shared(m))
        return -ECANCELED;
    pf_trial_cancel(&m->pool);
    pf_listeners_give_back(m->setup.listeners);
    if (m->setup.on_return)
        m->setup.on_return(m->setup.context);
    describe_return(m, reason);
    return cross(m, pf_succession_executable(m->upgrade.next.state));
}
