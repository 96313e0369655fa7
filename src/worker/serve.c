/* Accept, handle, close, until asked to leave. Datagrams take the same way, except that
 * they are received and not accepted (worker/datagram.c).
 *
 * The worker waits for its channel and its listeners together, in an epoll object of its
 * own. Two things follow. A request to leave is seen exactly here, between connections,
 * and before a connection that is ready at the same time: what was accepted is always
 * served. And with EPOLLEXCLUSIVE the kernel wakes one waiting worker per connection.
 * Which one is the accept order: `hot` stays where it is in the listener's queue of
 * waiters, so the same few workers are woken again and again and the rest was never
 * needed; `fair` moves itself to the end by leaving and entering the queue, so that all
 * take turns. That is two system calls, so a turn is two connections (docs/notes/0015).
 *
 * Being woken is a duty: the kernel woke nobody else for that connection. A worker that
 * will not take it (it is asked to leave, its can_read_hook declines, it is out of
 * descriptors) passes the duty on by ringing a bell that wakes another waiting worker, who
 * then tries all listeners. The master rings it for a worker that died.
 *
 * Of several ready listeners the first in the kernel's list is the one this worker was
 * woken for: the list is in order of arrival, and was empty while the worker slept. But
 * those that stay ready keep their order in it, and the first of them would have every
 * connection for as long as it is never empty. So it is the turn of the next one behind
 * that of the last connection; if that is not the first of the list, the bell is rung for
 * the one that is.
 *
 * With `serialize` only the worker whose turn it is (link/turn.h) has listeners in its
 * wait, and gives the turn back as soon as it has a connection. The others wait for the
 * turn's bell.
 *
 * A worker out of descriptors or memory leaves its listeners out of its wait for a moment
 * instead of spinning or sleeping: its channel is still heard. */
#include "link/channel.h"
#include "log/log.h"
#include "net/accept.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/wake.h"
#include "worker/recipe.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

#define CHANNEL_TAG UINT64_MAX /* listeners are tagged with their index */
#define PASS_TAG    (UINT64_MAX - 1)
#define TURN_TAG    (UINT64_MAX - 2)
#define PAUSE       (100 * PF_MILLISECOND)
#define SKIP        (10 * PF_MILLISECOND)

enum {
    EVENTS_MAX = 8,
};

static const struct pf_listener *
listener(const struct prefork_worker *w, unsigned index)
{
    return &w->heritage.listeners->table[index];
}

static void
watch_one(struct prefork_worker *w, int fd, uint64_t tag)
{
    int r = pf_wait_add_exclusive(&w->wait, fd, tag);

    if (r < 0 && r != -EEXIST)
        pf_worker_fail(w, PF_WORKER_EXIT_SETUP, -r);
}

static void
watch(struct prefork_worker *w, unsigned index)
{
    if (w->has_turn)
        watch_one(w, listener(w, index)->fd, index);
}

static void
watch_pass(struct prefork_worker *w)
{
    if (w->has_turn)
        watch_one(w, w->heritage.pass_fd, PASS_TAG);
}

static void
pass_on(struct prefork_worker *w)
{
    pf_wake_ring(w->heritage.pass_fd);
}

/* It is this worker's turn, which without `serialize` it always is. */
static void
enter(struct prefork_worker *w)
{
    w->has_turn = true;
    for (unsigned i = 0; i < w->heritage.listeners->count; i++)
        watch(w, i);
    watch_pass(w);
}

static void
open_wait(struct prefork_worker *w)
{
    int r = pf_wait_open(&w->wait);

    if (r == 0)
        r = pf_wait_add(&w->wait, w->heritage.channel, CHANNEL_TAG);
    if (r < 0)
        pf_worker_fail(w, PF_WORKER_EXIT_SETUP, -r);
    if (w->heritage.turn.kind == PF_TURN_NONE)
        enter(w);
    else
        watch_one(w, w->heritage.turn.bell, TURN_TAG);
}

/* serialize: take the turn if it is free. Who cannot accept now does not want it. */
static void
try_turn(struct prefork_worker *w)
{
    if (!w->has_turn && w->paused == 0 && pf_turn_take(&w->heritage.turn))
        enter(w);
}

static void
give_turn(struct prefork_worker *w)
{
    if (!w->has_turn || w->heritage.turn.kind == PF_TURN_NONE)
        return;
    for (unsigned i = 0; i < w->heritage.listeners->count; i++)
        pf_wait_remove(&w->wait, listener(w, i)->fd);
    pf_wait_remove(&w->wait, w->heritage.pass_fd);
    w->has_turn = false;
    pf_turn_give(&w->heritage.turn);
}

/* Leave a listener out of the wait until this span is over. Nor is the bell heard
 * meanwhile: it might be for this listener. */
static void
pause_listener(struct prefork_worker *w, unsigned index, pf_time span)
{
    pf_wait_remove(&w->wait, listener(w, index)->fd);
    pf_wait_remove(&w->wait, w->heritage.pass_fd);
    if (w->resume_at[index] == 0)
        w->paused++;
    w->resume_at[index] = pf_time_after(pf_clock_now(), span);
    give_turn(w);
}

/* Take back what was paused long enough; when the next one is due. */
static pf_time
resume_listeners(struct prefork_worker *w)
{
    pf_time next = PF_NEVER;
    pf_time now;

    if (w->paused == 0)
        return PF_NEVER;
    now = pf_clock_now();
    for (unsigned i = 0; i < w->heritage.listeners->count; i++) {
        if (w->resume_at[i] == 0)
            continue;
        if (w->resume_at[i] > now) {
            next = pf_time_earlier(next, w->resume_at[i]);
            continue;
        }
        w->resume_at[i] = 0;
        w->paused--;
        watch(w, i);
    }
    if (w->paused == 0)
        watch_pass(w);
    return next;
}

/* fair: at the end of a turn to the end of the listener's queue of waiting workers. */
static void
end_turn(struct prefork_worker *w, unsigned index)
{
    w->has_one_more[index] = !w->has_one_more[index];
    if (w->has_one_more[index])
        return;
    pf_wait_remove(&w->wait, listener(w, index)->fd);
    watch(w, index);
}

/* Descriptors 0 and 1 are the connection for as long as it lasts, and the null device
 * before and after; with TLS the streams are the connection instead (tie.c). */
static void
bind_stdio(struct prefork_worker *w, int fd)
{
    if (w->null_fd < 0)
        w->null_fd = pf_fd_open_null();
    if (w->conn.tls) {
        fd = w->null_fd;
        pf_tie_stdio(w);
    }
    if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
        pf_log(PREFORK_LOG_WARNING, "cannot put the connection on descriptors 0 and 1: %s",
               strerror(errno));
}

static void
unbind_stdio(struct prefork_worker *w)
{
    pf_untie_stdio();
    (void)fflush(stdout); /* a client that is gone is no news */
    __fpurge(stdin);
    clearerr(stdin);
    clearerr(stdout);
    if (w->null_fd >= 0) {
        (void)dup2(w->null_fd, STDIN_FILENO);
        (void)dup2(w->null_fd, STDOUT_FILENO);
    }
}

/* The service or the refusal, and the hooks around it, in the documented order. */
static void
handle(struct prefork_worker *w)
{
    const struct pf_recipe *recipe = w->heritage.recipe;
    const struct prefork_app *app = &recipe->app;
    struct prefork_conn *c = &w->conn;
    bool allowed;

    if (app->post_accept_hook)
        app->post_accept_hook(c, app->data);
    allowed = pf_worker_admits(w);
    if (!allowed) {
        w->account.outcome = PF_OUTCOME_DENIED;
        if (app->request_denied_hook)
            app->request_denied_hook(c, app->data);
    } else if (recipe->handler == PF_HANDLER_NOWAIT) {
        pf_nowait_serve(w);
    } else if (app->process_request) {
        app->process_request(c, app->data);
    }
    if (app->post_process_request_hook)
        app->post_process_request_hook(c, allowed, app->data);
}

static void
log_connect(struct prefork_worker *w)
{
    struct prefork_conn *c = &w->conn;

    if (pf_log_wants(PREFORK_LOG_INFO))
        pf_log(PREFORK_LOG_INFO, "connect %s peer %s local %s", pf_connection_proto(c),
               pf_connection_peer_text(c), pf_connection_local_text(c));
}

void
pf_worker_handle(struct prefork_worker *w)
{
    log_connect(w);
    handle(w);
}

void
pf_worker_connection(struct prefork_worker *w, int fd, const struct pf_listener *l)
{
    const struct pf_recipe *recipe = w->heritage.recipe;
    pf_time now = pf_worker_say_busy(w, 1);

    w->requests++;
    w->conn.worker = w;
    pf_connection_open(&w->conn, fd, l);
    pf_worker_score_connection(w, now);
    pf_account_begin(w);
    pf_worker_watch_client(w);
    log_connect(w);
    if (pf_worker_secure(w)) {
        if (recipe->client_stdio)
            bind_stdio(w, fd);
        handle(w);
        if (recipe->client_stdio)
            unbind_stdio(w);
    }
    pf_account_close(w);
    if (recipe->app.post_client_connection_hook)
        recipe->app.post_client_connection_hook(w, recipe->app.data);
}

/* max_requests: ask to leave in time; at the limit do not accept any more. */
static void
count_request(struct prefork_worker *w)
{
    if (w->ask_at > 0 && w->requests >= w->ask_at)
        pf_board_say_wants_leave(&w->heritage.seat);
    if (w->stop_at > 0 && w->requests >= w->stop_at) {
        pf_board_say_spent(&w->heritage.seat);
        pf_worker_score(w, PF_SCORE_LEAVING);
        for (unsigned i = 0; i < w->heritage.listeners->count; i++)
            pause_listener(w, i, PF_NEVER);
    } else {
        pf_worker_say_idle(w);
    }
}

static bool
is_wanted(struct prefork_worker *w, unsigned index)
{
    const struct prefork_app *app = &w->heritage.recipe->app;

    if (w->heritage.listeners->count == 1 || !app->can_read_hook)
        return true;
    return !app->can_read_hook(w, listener(w, index)->fd, app->data);
}

/* Out of something. Told once until an accept succeeds. At its own limit of descriptors a
 * worker has most likely lost them for good, and would rather be replaced. */
static void
be_out_of(struct prefork_worker *w, unsigned index, int errnum)
{
    if (!w->is_out)
        pf_log(PREFORK_LOG_WARNING, "cannot accept on %s: %s; trying again in %d ms",
               listener(w, index)->address, strerror(errnum),
               (int)(PAUSE / PF_MILLISECOND));
    w->is_out = true;
    if (errnum == EMFILE)
        pf_board_say_wants_leave(&w->heritage.seat);
    pause_listener(w, index, PAUSE);
    pass_on(w);
}

/* Accept a connection or receive a datagram: 0, or an outcome of enum pf_accept_outcome. */
static int
take_one(struct prefork_worker *w, const struct pf_listener *l, int *ret_fd,
         int *ret_errnum)
{
    struct prefork_conn *c = &w->conn;

    if (pf_proto_is_datagram(l->proto))
        return pf_datagrams_take(w, l, ret_errnum);
    return pf_accept(l->fd, ret_fd, &c->peer.address, &c->peer.address_bytes, ret_errnum);
}

/* One connection from this listener, or some datagrams, if there are: true if they were
 * served. shared: there may be more where they came from, of which nobody was told. */
static bool
take(struct prefork_worker *w, unsigned index, bool shared)
{
    const struct pf_listener *l = listener(w, index);
    int errnum = 0;
    bool left = false;
    int fd = -1;

    if (w->resume_at[index] != 0)
        return false;
    if (!is_wanted(w, index)) {
        pause_listener(w, index, SKIP);
        pass_on(w);
        return false;
    }
    switch (take_one(w, l, &fd, &errnum)) {
    case 0: break;
    case PF_ACCEPT_E_PAUSE: be_out_of(w, index, errnum); return false;
    case PF_ACCEPT_E_CLOSED: /* or not open yet, until the commit of a reload */
        pause_listener(w, index, l->held ? PAUSE : PF_NEVER);
        return false;
    default: return false;
    }
    w->is_out = false;
    w->served = index;
    if (shared)
        pass_on(w);
    give_turn(w);
    if (pf_proto_is_datagram(l->proto))
        left = pf_datagrams_serve(w, l);
    else
        pf_worker_connection(w, fd, l);
    if (left)
        watch(w, index);
    else if (w->heritage.recipe->accept_order == PF_ACCEPT_FAIR)
        end_turn(w, index);
    count_request(w);
    return true;
}

/* The bell rang: somebody could not do his duty. */
static void
take_any(struct prefork_worker *w)
{
    pf_wake_hush(w->heritage.pass_fd);
    for (unsigned i = 0; i < w->heritage.listeners->count; i++) {
        if (take(w, i, true))
            return;
    }
}

static bool
has(const struct pf_wait_event *events, unsigned count, uint64_t tag)
{
    for (unsigned i = 0; i < count; i++) {
        if (events[i].tag == tag)
            return true;
    }
    return false;
}

/* How far behind the listener of the last connection this one is, round and round. */
static unsigned
distance(const struct prefork_worker *w, const struct pf_wait_event *event)
{
    unsigned all = w->heritage.listeners->count;

    return ((unsigned)event->tag + all - w->served - 1) % all;
}

/* The ready listener whose turn it is: its place among the events, or count. *ret_passed:
 * another one comes before it there. */
static unsigned
find_turn(const struct prefork_worker *w, const struct pf_wait_event *events,
          unsigned count, bool *ret_passed)
{
    unsigned turn = count;

    *ret_passed = false;
    for (unsigned i = 0; i < count; i++) {
        if (events[i].tag >= PF_LISTENERS_MAX)
            continue;
        if (turn == count) {
            turn = i;
        } else if (distance(w, &events[i]) < distance(w, &events[turn])) {
            turn = i;
            *ret_passed = true;
        }
    }
    return turn;
}

/* What is ready, in turn; the bell, if it rang too, stays for others. */
static void
do_duty(struct prefork_worker *w, const struct pf_wait_event *events, unsigned count)
{
    bool bell = has(events, count, PASS_TAG);
    bool passed;
    unsigned turn = find_turn(w, events, count, &passed);

    if (has(events, count, TURN_TAG))
        pf_wake_hush(w->heritage.turn.bell);
    for (unsigned i = 0; i < count; i++) {
        uint64_t tag = events[(turn + i) % count].tag;
        if (tag < PF_LISTENERS_MAX && take(w, (unsigned)tag, bell || passed))
            return;
    }
    if (bell)
        take_any(w);
}

/* Of a socket that was inherited another server may have workers, whom our bell does not
 * reach. */
static bool
take_inherited(struct prefork_worker *w)
{
    for (unsigned i = 0; i < w->heritage.listeners->count; i++) {
        if (listener(w, i)->inherited && take(w, i, true))
            return true;
    }
    return false;
}

/* Asked to leave at the moment of being woken: somebody else has to be, or there may be
 * nobody else. */
static void
decline(struct prefork_worker *w, const struct pf_wait_event *events, unsigned count)
{
    if (has(events, count, TURN_TAG))
        pf_wake_ring(w->heritage.turn.bell);
    if (count > 1 && !take_inherited(w))
        pass_on(w);
}

/* A handler may have asked prefork_stopping() and so have read the request to leave. */
void
pf_worker_serve(struct prefork_worker *w)
{
    const struct prefork_app *app = &w->heritage.recipe->app;
    struct pf_wait_event events[EVENTS_MAX];

    open_wait(w);
    pf_datagrams_prepare(w);
    pf_worker_say_idle(w);
    while (!w->leaving) {
        pf_time resume = resume_listeners(w);
        unsigned count;
        try_turn(w);
        if (app->pre_accept_hook)
            app->pre_accept_hook(w, app->data);
        count = pf_wait_sleep(&w->wait, resume, events, EVENTS_MAX);
        if (!has(events, count, CHANNEL_TAG) || !pf_worker_is_asked(w))
            do_duty(w, events, count);
        else
            decline(w, events, count);
    }
    give_turn(w);
}
