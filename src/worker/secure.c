/* The handshake of a connection with TLS.
 *
 * It is done by the worker that took the connection, before any hook sees it. A client that
 * fails here is the internet as usual: it costs the worker the time until it is known, at
 * most SSL_handshake_timeout, and nothing else. It is logged at the level of connections.
 *
 * A socket for TLS may come to a worker without the means for it: after a way back that
 * failed, the master has the sockets of the program before and the settings of the new one.
 * Nothing is said in the clear there: who connects is sent away, and code that accepts by
 * itself, which knows nothing of TLS, is not let near it. */
#include "log/log.h"
#include "net/tls.h"
#include "worker/recipe.h"
#include "worker/worker.h"

#include <errno.h>

static void
log_secured(struct prefork_conn *c)
{
    const char *name = pf_tls_fact(c, PF_TLS_FACT_SERVER_NAME);

    pf_log(PREFORK_LOG_INFO, "secured %s by %s %s%s%s%s", pf_connection_peer_text(c),
           pf_tls_fact(c, PF_TLS_FACT_VERSION), pf_tls_fact(c, PF_TLS_FACT_CIPHER),
           pf_tls_is_resumed(c) ? ", resumed" : "", name[0] ? ", for " : "", name);
}

static const struct pf_tls *
tls_of(const struct pf_listener *l)
{
    return l->endpoint ? l->endpoint->tls : NULL;
}

static bool
lacks_tls(const struct pf_listener *l)
{
    return l->proto == PF_PROTO_SSL && !tls_of(l);
}

/* Told once: it is the same with each client. */
static void
refuse_plain(struct prefork_worker *w)
{
    w->account.outcome = PF_OUTCOME_FAILED;
    if (!w->lacks_tls)
        pf_log(PREFORK_LOG_ERROR,
               "%s speaks TLS, and the settings have no certificate for it any more: "
               "connections there are closed; restart the server",
               w->conn.listener->address);
    w->lacks_tls = true;
}

void
pf_worker_refuse_plain(struct prefork_worker *w)
{
    const struct pf_listeners *ls = w->heritage.listeners;

    for (unsigned i = 0; i < ls->count; i++) {
        if (lacks_tls(&ls->table[i]))
            pf_worker_fail(w, PF_WORKER_EXIT_SETUP, EPROTONOSUPPORT);
    }
}

bool
pf_worker_secure(struct prefork_worker *w)
{
    const struct prefork_app *app = &w->heritage.recipe->app;
    struct prefork_conn *c = &w->conn;
    const struct pf_tls *tls = tls_of(c->listener);
    const char *reason = "";

    if (lacks_tls(c->listener)) {
        refuse_plain(w);
        return false;
    }
    if (!tls)
        return true;
    if (pf_tls_accept(c, tls, &reason) == 0) {
        if (pf_log_wants(PREFORK_LOG_INFO))
            log_secured(c);
        return true;
    }
    w->account.outcome = PF_OUTCOME_FAILED;
    pf_log(PREFORK_LOG_INFO, "TLS handshake with %s failed: %s", pf_connection_peer_text(c),
           reason);
    if (app->SSL_error_callback)
        app->SSL_error_callback(c, reason, app->data);
    return false;
}
