/* Clients that have gone while a worker serves them.
 *
 * Each worker has a thing of its own in which it registers its connections
 * (os/departure.h), made before its fork and watched here. It can speak of itself only, and
 * what it registered ends with it, also where a process that it left behind still holds a
 * socket.
 *
 * What is reported there is a number of a connection, and gossip. It is believed if the
 * worker's page says that it is at that connection now, and then the kernel is asked whose
 * end it was: what the worker shuts down itself looks the same from here. Of TCP the state
 * of the connection tells; the local end that is needed to ask for it is the listener's, or
 * is found (net/diag.h). Of unix sockets it shows in whether the other end still exists,
 * for which the worker's descriptors have to be visible (/proc). What cannot be asked is
 * taken for the client's doing.
 *
 * So much is done in a turn: a few reports of each worker, and a few walks through all
 * connections, one for each local address that could not be guessed. Who reports without
 * end costs turns, as with the bell, and nobody else's attention. */
#include "base/address.h"
#include "log/log.h"
#include "master/master.h"
#include "net/diag.h"
#include "os/departure.h"
#include "os/fd.h"
#include "os/holder.h"

#include <netinet/in.h>
#include <string.h>

enum {
    REPORTS = 16,     /* of one worker in a turn */
    SOCKETS_MAX = 64, /* of one worker that are looked at */
    UNSETTLED_MAX = 100,
};

/* One departure, while it is looked into. */
struct farewell {
    unsigned slot;
    struct pf_departure what;
    struct pf_score_line line;
    const struct pf_listener *listener;
    struct sockaddr_storage local; /* TCP; of no family: not known */
    struct sockaddr_storage peer;
};

bool
pf_master_heeds_departures(const struct pf_master *m)
{
    return m->policy.on_departure != PF_DEPARTURE_IGNORE;
}

/* ---- is it about the connection that the worker is at? ------------------------------- */

static bool
is_serving(uint8_t state)
{
    switch (state) {
    case PF_SCORE_NOBODY:
    case PF_SCORE_STARTING:
    case PF_SCORE_IDLE:
    case PF_SCORE_LEAVING:
    case PF_SCORE_DEQUEUE:
    case PF_SCORE_UNKNOWN: return false;
    default: return true;
    }
}

static struct sockaddr_storage
address_of(const struct pf_score_end *end)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (void *)&address;
    struct sockaddr_in6 *v6 = (void *)&address;

    if (end->family == AF_INET) {
        *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(end->port)};
        memcpy(&v4->sin_addr, end->address, sizeof v4->sin_addr);
    } else if (end->family == AF_INET6) {
        *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                    .sin6_port = htons(end->port),
                                    .sin6_scope_id = end->scope};
        memcpy(&v6->sin6_addr, end->address, sizeof v6->sin6_addr);
    }
    return address;
}

/* 0: what the worker says that it is at; PF_SCORE_E_UNSETTLED. */
static int
read_line(const struct pf_master *m, struct farewell *c)
{
    const struct pf_board_slot *s = pf_board_slot(&m->board, c->slot);

    return s ? pf_score_glance(&s->score, &c->line) : PF_SCORE_E_UNSETTLED;
}

/* It is at a connection that came in by a listener of ours, as far as that can be checked.
 */
static bool
understand(const struct pf_master *m, struct farewell *c)
{
    const struct pf_board_slot *s = pf_board_slot(&m->board, c->slot);

    if (atomic_load(&s->state) != PF_BOARD_BUSY || !is_serving(c->line.state))
        return false;
    c->listener = pf_listener_find(m->setup.listeners, c->line.listener);
    if (!c->listener)
        return false;
    c->peer = address_of(&c->line.peer);
    return !pf_proto_is_datagram(c->listener->proto) &&
           (c->listener->family == AF_UNIX || c->peer.ss_family != AF_UNSPEC);
}

/* What is reported of the connection that the worker is at now that the reports are here;
 * the rest is of yesterday. False: nothing new. */
static bool
take_reports(struct pf_master *m, struct farewell *c)
{
    const struct pf_child *child = &m->children[c->slot];
    struct pf_departure table[REPORTS];
    unsigned count = pf_departures_take(child->departures, table, REPORTS);
    struct pf_score_line before = c->line;
    bool found = false;

    if (read_line(m, c) != 0)
        c->line = before;
    for (unsigned i = 0; i < count; i++) {
        if (table[i].connection != c->line.requests)
            continue;
        found = true;
        c->what.broken |= table[i].broken;
        c->what.shut |= table[i].shut;
    }
    c->what.connection = c->line.requests;
    return found && c->what.connection != child->departed;
}

/* ---- whose end was it? --------------------------------------------------------------- */

static enum pf_diag_stand
try_local(struct farewell *c, const struct sockaddr_storage *local)
{
    enum pf_diag_stand stand = pf_diag_tcp(local, &c->peer);

    if (stand != PF_DIAG_UNKNOWN && stand != PF_DIAG_NOTHING)
        c->local = *local;
    return stand;
}

/* Of all addresses of the machine the client chose one: that of another client, that by
 * which packets go to this one, or any, for which there are so many walks in a turn. */
static enum pf_diag_stand
find_local(struct pf_master *m, struct farewell *c)
{
    unsigned port = pf_listener_port(c->listener);
    struct sockaddr_storage guess = m->usual_local;
    enum pf_diag_stand stand = PF_DIAG_NOTHING;

    if (guess.ss_family == c->peer.ss_family) {
        pf_address_set_port((struct sockaddr *)&guess, port);
        stand = try_local(c, &guess);
    }
    if (stand == PF_DIAG_NOTHING && pf_diag_guess_local(port, &c->peer, &guess) == 0)
        stand = try_local(c, &guess);
    if (stand == PF_DIAG_NOTHING && m->walks_left > 0) {
        m->walks_left--;
        stand = pf_diag_find_local(port, &c->peer, &c->local);
    }
    if (c->local.ss_family != AF_UNSPEC)
        m->usual_local = c->local;
    return stand;
}

static enum pf_diag_stand
look_up(struct pf_master *m, struct farewell *c)
{
    socklen_t bytes = sizeof c->local;

    if (!c->listener->wildcard &&
        getsockname(c->listener->fd, (struct sockaddr *)&c->local, &bytes) == 0)
        return c->what.broken ? PF_DIAG_NOTHING : pf_diag_tcp(&c->local, &c->peer);
    /* The kernel has forgotten the addresses of a connection that is broken. */
    return c->what.broken ? PF_DIAG_NOTHING : find_local(m, c);
}

static bool
tcp_has_left(struct pf_master *m, struct farewell *c)
{
    enum pf_diag_stand stand = look_up(m, c);

    return c->what.broken || (stand != PF_DIAG_OPEN && stand != PF_DIAG_OURS);
}

struct ends {
    char path[PF_LISTENER_TEXT_BYTES];
    unsigned looked_at;
    bool here; /* the worker has a connection of this listener */
    bool left; /* and the other end of one is gone */
};

static bool
look_at_socket(void *context, uint64_t inode)
{
    struct ends *ends = context;
    struct pf_diag_socket s;

    if (pf_diag_unix(inode, &s) == 0 && strcmp(s.path, ends->path) == 0) {
        ends->here = true;
        ends->left |= s.left;
    }
    return !ends->left && ++ends->looked_at < SOCKETS_MAX;
}

/* Half a close is not what a worker does to its client. */
static bool
unix_has_left(const struct pf_master *m, const struct farewell *c)
{
    struct ends ends = {0};

    pf_listener_name(c->listener, ends.path, sizeof ends.path);
    if (c->what.broken || !c->what.shut)
        return true;
    if (pf_holder_sockets(m->pool.slots[c->slot].pid, look_at_socket, &ends) < 0)
        return true;
    return ends.left || !ends.here;
}

/* ---- then it is told, once ----------------------------------------------------------- */

void
pf_master_tell_departure(struct pf_master *m, unsigned slot, const struct pf_listener *l,
                         const struct sockaddr_storage *local,
                         const struct sockaddr_storage *peer)
{
    const struct prefork_app *app = &m->setup.recipe->app;
    const bool is_unix = l->family == AF_UNIX;
    char local_host[PF_ADDRESS_TEXT_BYTES] = "";
    char foreign_host[PF_ADDRESS_TEXT_BYTES] = "";
    struct prefork_disconnect gone = {
        .pid = m->pool.slots[slot].pid,
        .slot = slot,
        .proto = pf_proto_name(l->proto),
        .local_host = is_unix ? l->address : local_host,
        .foreign_host = foreign_host,
        .local_port = pf_listener_port(l),
    };
    const socklen_t bytes = sizeof *peer;

    if (!is_unix) {
        pf_address_host((const struct sockaddr *)local, bytes, local_host,
                        sizeof local_host);
        pf_address_host((const struct sockaddr *)peer, bytes, foreign_host,
                        sizeof foreign_host);
        gone.foreign_port = pf_address_port((const struct sockaddr *)peer, bytes);
    }
    pf_log(PREFORK_LOG_DEBUG, "the client of worker %d has gone: %s %s %u", (int)gone.pid,
           gone.proto, is_unix ? gone.local_host : gone.foreign_host, gone.foreign_port);
    if (app->on_client_disconnect)
        app->on_client_disconnect(&gone, app->data);
}

/* What the pool knows of the worker may be older than the connection; and the connection
 * may be over by now. */
static void
note_gone(struct pf_master *m, struct farewell *c)
{
    pf_master_read_slot(m, c->slot);
    if (read_line(m, c) == 0 && c->line.requests == c->what.connection && understand(m, c))
        pf_pool_client_gone(&m->pool, c->slot);
}

/* Somebody else may still hold a copy of it, so closing it alone would not end the watch.
 */
void
pf_master_unwatch_departures(struct pf_master *m, unsigned slot)
{
    struct pf_child *child = &m->children[slot];

    if (child->departures >= 0)
        pf_wait_remove(&m->wait, child->departures);
    pf_fd_close(&child->departures);
}

/* A line that is just being written will be there in the next turn, for which the reports
 * are left where they are. One that is never finished is of a worker that was stopped right
 * there, or makes fun of us. */
static bool
is_settled(struct pf_master *m, struct farewell *c)
{
    struct pf_child *child = &m->children[c->slot];

    if (read_line(m, c) == 0) {
        child->unsettled = 0;
        return true;
    }
    if (++child->unsettled < UNSETTLED_MAX)
        return false;
    (void)take_reports(m, c);
    return false;
}

void
pf_master_departed(struct pf_master *m, unsigned slot)
{
    struct pf_child *child = &m->children[slot];
    struct farewell c = {.slot = slot};

    if (child->departures < 0 || !is_settled(m, &c) || !take_reports(m, &c) ||
        !understand(m, &c))
        return;
    if (c.listener->family == AF_UNIX ? !unix_has_left(m, &c) : !tcp_has_left(m, &c))
        return;
    child->departed = c.what.connection;
    pf_master_tell_departure(m, slot, c.listener, &c.local, &c.peer);
    note_gone(m, &c);
}
