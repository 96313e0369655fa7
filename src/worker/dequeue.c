/* A dequeue process: the work that workers leave to be done later.
 *
 * It is born like a worker and may do what a worker may, but takes no connections and is no
 * part of the pool: its page says from the beginning to the end that it is at work. When
 * the function returns it ends; the master starts the next one when that is due
 * (core/dequeue.c). Asked to leave it is on its channel, like everybody: the function
 * should look at prefork_stopping() now and then. */
#include "worker/recipe.h"
#include "worker/worker.h"

void
pf_dequeue_run(struct prefork_worker *w)
{
    const struct prefork_app *app = &w->heritage.recipe->app;

    pf_board_say_apart(&w->heritage.seat);
    pf_worker_score(w, PF_SCORE_DEQUEUE);
    app->dequeue(w, app->data);
}
