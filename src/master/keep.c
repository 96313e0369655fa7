/* Below a keeper, or not.
 *
 * The keeper is made when the process has left the starter and before it has made anything
 * that is the master's. It knows nothing of settings: what it has to do in terms of them is
 * here, and called in its process. It gives up privileges as the master does, but only when
 * the server is ready: until then the master may be somebody that only root may signal. */
#include "master/keep.h"

#include "keeper/keeper.h"
#include "log/access_log.h"
#include "master/prepare.h"
#include "master/privileges.h"
#include "os/signal.h"

#include <unistd.h>

/* The starter waits for the master's word, and the end of the pipe when it dies. */
static void
forget(void *context)
{
    struct pf_startup *s = context;

    pf_master_leave_office();
    pf_daemon_forget(&s->daemonized);
    pf_listeners_close(s->listeners);
    pf_access_log_close();
}

static int
settle(void *context, struct pf_error *error)
{
    struct pf_startup *s = context;
    int r = pf_privileges_drop(s->config, error);

    return r == 0 ? pf_daemon_redirect(&s->config->daemon, error) : r;
}

static int
start_keeper(struct pf_startup *s)
{
    const struct pf_policy *policy = &s->config->policy;
    const struct pf_keeper_setup setup = {
        .name = s->config->recipe.name,
        .capacity = pf_store_room(pf_master_capacity(policy)),
        .stop_timeout = policy->stop_timeout,
        .kill_timeout = policy->kill_timeout,
        .forget = forget,
        .settle = settle,
        .context = s,
    };
    int r = pf_keeper_start(&setup, &s->keeper, s->error);

    pf_signal_shield(); /* which the birth has undone */
    return r;
}

int
pf_keep_go_to_place(struct pf_startup *s)
{
    int r;

    s->keeper = pf_keeper_join();
    if (s->keeper >= 0)
        return 0;
    r = pf_daemon_start(&s->daemonized, &s->config->daemon, s->error);
    return r == 0 && s->config->daemon.keeper ? start_keeper(s) : r;
}
