/* Serving datagrams.
 *
 * A datagram is served as a connection that is already read: received into the worker's one
 * buffer, the same hooks, an answer or none, and done. Nothing is accepted and nothing is
 * closed, so that the wait is what costs: a worker that was woken takes what comes in by
 * the same socket one after the other, without going through its wait, as long as there is
 * something.
 *
 * Such a run ends where a worker could do harm by it: after RUN_MAX datagrams or with the
 * tick of the coarse clock, because other sockets and the request to leave are looked at
 * only in the wait (so a slow handler serves one at a time); at the worker's last request;
 * and after the first one where the program or the accept order wants a say in who takes
 * the next.
 *
 * Each datagram that arrives is shown by the kernel to all who wait at the socket, also to
 * those who are busy: with sixteen of them that costs a quarter of what receiving and
 * answering a small one does. So a worker leaves the wait of that socket while a run is
 * long.
 *
 * Going to sleep and being woken is dearer than serving a datagram. So before a run that
 * had more than one ends for want of another, the worker lets others run once and looks
 * again.
 *
 * On the board a run is one busy time, of which each datagram begins anew: request_timeout
 * is about one of them, and all of them are counted. */
#include "net/datagram.h"

#include "net/accept.h"
#include "os/clock.h"
#include "os/memory.h"
#include "worker/recipe.h"
#include "worker/worker.h"

#include <errno.h>
#include <sched.h>

enum {
    RUN_MAX = 64,
    RUN_LONG = 8, /* from here on a run is a long one */
};

static unsigned
room(const struct prefork_worker *w, const struct pf_listener *l)
{
    return l->endpoint ? l->endpoint->recv_len : w->heritage.recipe->udp_recv_len;
}

static int
flags(const struct prefork_worker *w, const struct pf_listener *l)
{
    return l->endpoint ? l->endpoint->recv_flags : w->heritage.recipe->udp_recv_flags;
}

/* The buffer is for the largest room of all listeners; pages that no datagram reaches are
 * never touched. */
void
pf_datagrams_prepare(struct prefork_worker *w)
{
    const struct pf_listeners *ls = w->heritage.listeners;
    unsigned largest = 0;

    for (unsigned i = 0; i < ls->count; i++) {
        const struct pf_listener *l = &ls->table[i];
        if (pf_proto_is_datagram(l->proto) && room(w, l) > largest)
            largest = room(w, l);
    }
    if (largest == 0)
        return;
    w->datagram.bytes = pf_memory_new(largest + 1);
    if (!w->datagram.bytes)
        pf_worker_fail(w, PF_WORKER_EXIT_SETUP, ENOMEM);
}

int
pf_datagrams_take(struct prefork_worker *w, const struct pf_listener *l, int *ret_errnum)
{
    struct prefork_conn *c = &w->conn;
    const struct pf_datagram_order order = {
        .fd = l->fd, .tells = l->wildcard, .room = room(w, l), .flags = flags(w, l)};
    int r = pf_datagram_receive(&w->datagram, &order, &c->peer.address,
                                &c->peer.address_bytes, ret_errnum);

    if (r == 0)
        w->datagram.bytes[w->datagram.size] = '\0'; /* for who reads text */
    return r;
}

static void
serve_one(struct prefork_worker *w, const struct pf_listener *l)
{
    const struct prefork_app *app = &w->heritage.recipe->app;

    w->requests++;
    w->conn.worker = w;
    pf_connection_open_datagram(&w->conn, &w->datagram, l);
    pf_worker_handle(w);
    pf_connection_close(&w->conn);
    if (app->post_client_connection_hook)
        app->post_client_connection_hook(w, app->data);
}

/* Does nobody else have a say in who takes the next one? */
static bool
may_run(const struct prefork_worker *w)
{
    const struct pf_recipe *recipe = w->heritage.recipe;

    return recipe->accept_order != PF_ACCEPT_FAIR && recipe->serialize == PF_TURN_NONE &&
           (!recipe->app.can_read_hook || w->heritage.listeners->count == 1);
}

/* A handler may have asked prefork_stopping() and so have read the request to leave. */
static bool
may_go_on(const struct prefork_worker *w)
{
    return !w->leaving && (w->stop_at == 0 || w->requests < w->stop_at);
}

/* Under load the next one is only a moment away: its sender waits for the processor. */
static bool
take_next(struct prefork_worker *w, const struct pf_listener *l, unsigned served)
{
    int errnum;

    if (pf_datagrams_take(w, l, &errnum) == 0)
        return true;
    if (served == 1)
        return false;
    (void)sched_yield(); /* it cannot fail */
    return pf_datagrams_take(w, l, &errnum) == 0;
}

bool
pf_datagrams_serve(struct prefork_worker *w, const struct pf_listener *l)
{
    unsigned most = may_run(w) ? RUN_MAX : 1;
    pf_time start = pf_clock_now_coarse();
    unsigned served = 1;

    pf_worker_say_busy(w, 1);
    serve_one(w, l);
    while (served < most && may_go_on(w) && pf_clock_now_coarse() == start &&
           take_next(w, l, served)) {
        if (++served == RUN_LONG)
            pf_wait_remove(&w->wait, l->fd);
        pf_board_say_next(&w->heritage.seat, start);
        serve_one(w, l);
    }
    return served >= RUN_LONG;
}
