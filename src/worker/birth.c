/* Birth: what the first instructions of a worker do.
 *
 * The master's descriptors are closed already (master/spawn.c knows them). Here the rest
 * of the master is forgotten: its process group, signal mask and dispositions, limits, and
 * the capabilities it kept.
 * After that the process is an ordinary one, as the program behind the handler expects,
 * plus a channel, a bell and a page on the board. */
#include "os/capability.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/signal.h"
#include "os/title.h"
#include "worker/recipe.h"
#include "worker/worker.h"

#include <signal.h>
#include <unistd.h>

/* A life is shorter than max_requests by a random part of the jitter, never longer, and
 * the worker asks to leave that much earlier. */
static void
set_limits(struct prefork_worker *w)
{
    const struct pf_recipe *recipe = w->heritage.recipe;
    unsigned long most = recipe->max_requests;
    unsigned long range = most * recipe->max_requests_jitter / 100;
    unsigned long shorter = range > 0 ? w->heritage.random % (range + 1) : 0;

    w->stop_at = most;
    w->ask_at = most > 0 ? most - shorter : 0;
}

/* Before the master's mask is lifted: a signal that was sent meanwhile is waiting, and must
 * not find the default that ends or stops a process. What is passed on is ignored until the
 * program wants it, in every worker alike. */
static void
settle_signals(const struct pf_recipe *recipe)
{
    for (int signum = 1; signum <= PF_SIGNAL_LAST; signum++) {
        if (pf_signal_is_in(recipe->passthrough, signum))
            pf_signal_ignore(signum);
    }
    if (recipe->handler == PF_HANDLER_WAIT)
        return;
    pf_signal_ignore(SIGTTIN);
    pf_signal_ignore(SIGTTOU);
    if (!pf_signal_is_in(recipe->passthrough, SIGHUP))
        pf_signal_handle_hangup(pf_worker_leave_by_signal);
}

/* /proc leads out of a changed root. */
int
pf_worker_give_up(const struct pf_recipe *recipe)
{
    pf_process_leave_proc();
    return recipe->keep_capabilities != 0 ? pf_capability_limit(0) : 0;
}

void
pf_worker_birth(struct prefork_worker *w, const struct pf_heritage *heritage)
{
    w->heritage = *heritage;
    w->null_fd = -1;
    w->wait.fd = -1;
    w->conn.fd = -1;
    pf_worker_score_open(w);
    w->role = "worker";
    pf_process_lead_group();
    if (heritage->recipe->handler == PF_HANDLER_WAIT && !heritage->kept)
        pf_process_die_with_parent(SIGTERM, heritage->master);
    settle_signals(heritage->recipe);
    pf_signal_forget();
    if (heritage->recipe->handler != PF_HANDLER_WAIT)
        pf_signal_ignore(SIGPIPE);
    pf_fd_limit_restore();
    if (pf_worker_give_up(heritage->recipe) < 0)
        _exit(PF_WORKER_EXIT_SETUP);
    pf_worker_title(w);
    set_limits(w);
}
