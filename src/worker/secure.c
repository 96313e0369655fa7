/* The handshake of a connection with TLS.
 *
 * It is done by the worker that took the connection, before any hook sees it. A client that
 * fails here is the internet as usual: it costs the worker the time until it is known, at
 * most SSL_handshake_timeout, and nothing else. It is logged at the level of connections.
 */
#include "log/log.h"
#include "net/tls.h"
#include "worker/recipe.h"
#include "worker/worker.h"

static void
log_secured(struct prefork_conn *c)
{
    const char *name = pf_tls_fact(c, PF_TLS_FACT_SERVER_NAME);

    pf_log(PREFORK_LOG_INFO, "secured %s by %s %s%s%s%s", pf_connection_peer_text(c),
           pf_tls_fact(c, PF_TLS_FACT_VERSION), pf_tls_fact(c, PF_TLS_FACT_CIPHER),
           pf_tls_is_resumed(c) ? ", resumed" : "", name[0] ? ", for " : "", name);
}

bool
pf_worker_secure(struct prefork_worker *w)
{
    const struct prefork_app *app = &w->heritage.recipe->app;
    struct prefork_conn *c = &w->conn;
    const struct pf_endpoint *endpoint = c->listener->endpoint;
    const char *reason = "";

    if (!endpoint || !endpoint->tls)
        return true;
    if (pf_tls_accept(c, endpoint->tls, &reason) == 0) {
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
