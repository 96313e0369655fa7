/* At the door: the rules applied to a connection, in the worker that accepted it.
 *
 * The rules decide (net/access.h); this file gives them the client, looks its name up when
 * they want it, and logs what came out. A denial is one line at level info: who floods the
 * door must not flood the log of a server at its default level.
 *
 * A name is looked up at most once for a connection, when the rules or the program first
 * want it, and never if nobody does. */
#include "log/log.h"
#include "net/access.h"
#include "worker/recipe.h"
#include "worker/worker.h"

static void
tell_lookup(const struct pf_access *access, struct prefork_conn *c)
{
    const struct pf_lookup *l = &c->lookup;
    const char *host = pf_connection_peer_host(c);

    if (access->tell_detail)
        pf_log(PREFORK_LOG_INFO, "double_reverse_lookups: %s: name %s, addresses %s", host,
               l->claimed[0] != '\0' ? l->claimed : "none",
               l->addresses[0] != '\0' ? l->addresses : "none");
    if (access->tell_success && l->outcome == PF_LOOKUP_CONFIRMED)
        pf_log(PREFORK_LOG_INFO, "double_reverse_lookups: %s is %s", host, l->claimed);
}

static const struct pf_lookup *
look_up(void *context)
{
    struct prefork_conn *c = context;
    const struct pf_access *access = c->worker->heritage.recipe->access;

    if (!c->looked_up) {
        pf_lookup((const struct sockaddr *)&c->peer.address, c->peer.address_bytes,
                  access->lookup_timeout, &c->lookup);
        c->looked_up = true;
        tell_lookup(access, c);
    }
    return &c->lookup;
}

const char *
pf_worker_peer_name(struct prefork_conn *c)
{
    const struct pf_access *access = c->worker->heritage.recipe->access;

    if (!access || !access->names || pf_connection_is_unix(c))
        return "";
    return pf_lookup_name(look_up(c));
}

static void
tell_denied(struct prefork_conn *c, const char *reason)
{
    if (pf_log_wants(PREFORK_LOG_INFO))
        pf_log(PREFORK_LOG_INFO, "denied %s: %s", pf_connection_peer_text(c), reason);
}

static bool
rules_admit(const struct pf_access *access, struct prefork_conn *c)
{
    const struct pf_access_client client = {
        .address = (const struct sockaddr *)&c->peer.address,
        .address_bytes = c->peer.address_bytes,
        .host = pf_connection_peer_host(c),
        .look_up = look_up,
        .context = c,
    };
    struct pf_verdict verdict;

    pf_access_judge(access, &client, &verdict);
    if (!verdict.allowed)
        tell_denied(c, verdict.reason);
    return verdict.allowed;
}

bool
pf_worker_admits(struct prefork_worker *w)
{
    const struct pf_recipe *recipe = w->heritage.recipe;
    const struct prefork_app *app = &recipe->app;
    struct prefork_conn *c = &w->conn;

    if (recipe->access && !rules_admit(recipe->access, c))
        return false;
    if (!app->allow_deny_hook || app->allow_deny_hook(c, app->data))
        return true;
    tell_denied(c, "allow_deny_hook");
    return false;
}
