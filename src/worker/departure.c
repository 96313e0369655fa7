/* Somebody wants to know when the client goes.
 *
 * The worker says once where its connection can be watched, and the master does the
 * watching (master/departures.c): a worker is busy with the request, or is not even there
 * to see it, as while a program runs. It is said after the line on the scoreboard, by which
 * the master finds out whose departure it is. A client that has gone before is reported at
 * once. */
#include "os/departure.h"

#include "log/log.h"
#include "worker/recipe.h"
#include "worker/worker.h"

#include <string.h>

void
pf_worker_watch_client(struct prefork_worker *w)
{
    int departures = w->heritage.departures;
    int r;

    if (departures < 0)
        return;
    r = pf_departures_watch(departures, w->conn.fd, w->requests,
                            w->heritage.recipe->half_close_is_end);
    if (r < 0)
        pf_log(PREFORK_LOG_WARNING, "cannot watch for the departure of %s: %s",
               pf_connection_peer_text(&w->conn), strerror(-r));
}
