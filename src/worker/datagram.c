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
 * The kernel shows each datagram that arrives, and each answer that has left, to all who
 * wait at the socket by epoll, also to those who are awake: that costs more than the system
 * calls. So a worker that finds a second datagram behind the first leaves the wait of that
 * socket for as long as the run lasts, and where the run would end for want of a datagram
 * waits for it in recv(2), a few milliseconds at most: there the kernel knows him only
 * while he sleeps. A request to leave is late by as much.
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

enum {
    RUN_MAX = 1024,
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
        int r = pf_proto_is_datagram(l->proto) ? pf_datagram_be_patient(l->fd) : 0;
        if (r < 0)
            pf_worker_fail(w, PF_WORKER_EXIT_SETUP, -r);
        if (pf_proto_is_datagram(l->proto) && room(w, l) > largest)
            largest = room(w, l);
    }
    if (largest == 0)
        return;
    w->datagram.bytes = pf_memory_new(largest + 1);
    if (!w->datagram.bytes)
        pf_worker_fail(w, PF_WORKER_EXIT_SETUP, ENOMEM);
    w->datagram_bytes = largest + 1;
}

void
pf_datagrams_forget(struct prefork_worker *w)
{
    pf_memory_free(w->datagram.bytes, w->datagram_bytes);
    w->datagram.bytes = NULL;
}

static int
take(struct prefork_worker *w, const struct pf_listener *l, bool wait, int *ret_errnum)
{
    struct prefork_conn *c = &w->conn;
    const struct pf_datagram_order order = {.fd = l->fd,
                                            .tells = l->wildcard,
                                            .room = room(w, l),
                                            .flags = flags(w, l),
                                            .wait = wait};
    int r = pf_datagram_receive(&w->datagram, &order, &c->peer.address,
                                &c->peer.address_bytes, ret_errnum);

    if (r == 0)
        w->datagram.bytes[w->datagram.size] = '\0'; /* for who reads text */
    return r;
}

int
pf_datagrams_take(struct prefork_worker *w, const struct pf_listener *l, int *ret_errnum)
{
    return take(w, l, false, ret_errnum);
}

static void
serve_one(struct prefork_worker *w, const struct pf_listener *l, pf_time now)
{
    const struct prefork_app *app = &w->heritage.recipe->app;

    w->requests++;
    w->conn.worker = w;
    pf_connection_open_datagram(&w->conn, &w->datagram, l);
    pf_worker_score_connection(w, now);
    pf_account_begin(w);
    pf_worker_handle(w);
    pf_account_close(w);
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

bool
pf_datagrams_serve(struct prefork_worker *w, const struct pf_listener *l)
{
    unsigned most = may_run(w) ? RUN_MAX : 1;
    pf_time start = pf_worker_say_busy(w, 1);
    unsigned served = 1;
    int errnum;

    serve_one(w, l, start);
    while (served < most && may_go_on(w) && pf_clock_now_coarse() == start &&
           take(w, l, served > 1, &errnum) == 0) {
        if (served++ == 1)
            pf_wait_remove(&w->wait, l->fd);
        pf_board_say_next(&w->heritage.seat, start);
        serve_one(w, l, start);
    }
    return served > 1;
}
