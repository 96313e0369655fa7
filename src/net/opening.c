/* From an endpoint to listeners.
 *
 * One call of pf_listeners_open() serves one endpoint in three steps: the endpoint becomes
 * a list of addresses (net/target.c), each target becomes a socket (net/socket.c) unless
 * one in the table covers it already, and if any of them is refused, all that this call
 * added is taken back. So the table holds whole endpoints only.
 *
 * A port 0 is chosen by the kernel for the first target and then used for the others;
 * nothing is bound only to try it out.
 *
 * A unix endpoint is one socket; its path comes from net/path.c and is given back to it.
 *
 * Sockets for datagrams are bound and do not listen. The same number may be a TCP and a UDP
 * port: streams and datagrams never cover each other.
 *
 * With shards each TCP target has several sockets, which the kernel chooses among for each
 * connection. All of them stay open as long as the server, whichever workers come and go:
 * so no queue is ever reset (docs/notes/0007).
 *
 * After a reload there are sockets of the master before this one. Each target looks there
 * first, for exactly what it asks for. What is left may be in the way of a new one (*:80
 * where 127.0.0.1:80 was): both are shared with each other for as long as bind(2) and
 * listen(2) take. That two endpoints of the same settings are in each other's way is an
 * error after a reload as it is at a start.
 *
 * Deliberately absent: accepting, options of connections, and what becomes of the sockets
 * nobody asks for (net/handed.c). */
#include "base/address.h"
#include "net/handed.h"
#include "net/listener.h"
#include "net/path.h"
#include "net/socket.h"
#include "net/target.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ANY_PORT_TRIES = 16,
};

/* One call of pf_listeners_open(). */
struct opening {
    struct pf_listeners *ls;
    const struct pf_endpoint *endpoint;
    pf_listener_note *note;
    void *context;
    struct pf_error *error;
    unsigned first;  /* table entries from here on are of this call */
    unsigned port;   /* 0 until the kernel chose one */
    bool afresh;     /* the number that an endpoint with port 0 had will not do */
    unsigned served; /* targets that have a socket, new or not */
    struct pf_targets targets;
};

PF_PRINTF(2, 3)
static void
tell(const struct opening *o, const char *format, ...)
{
    char text[PF_ERROR_TEXT_BYTES];
    va_list args;

    if (!o->note)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args); /* cut is fine */
    va_end(args);
    o->note(o->context, text);
}

/* fd is consumed, also on failure. */
static int
add_listener(struct opening *o, int fd)
{
    struct pf_listener l = {.fd = fd, .proto = o->endpoint->proto, .endpoint = o->endpoint};
    int e = pf_listener_learn(&l);

    if (e == 0 && !pf_listeners_add(o->ls, &l))
        e = -ENOSPC;
    if (e < 0) {
        (void)close(fd); /* nothing was written to it */
        return pf_error_set(o->error, PREFORK_EXIT_SYSTEM, -e, "port %s: %s",
                            o->endpoint->port, strerror(-e));
    }
    o->served++;
    return 0;
}

static void
take_back(struct opening *o)
{
    while (o->ls->count > o->first) {
        struct pf_listener l = o->ls->table[--o->ls->count];
        pf_handed_let_go(o->ls, &l);
    }
}

static int
check_room(const struct opening *o)
{
    if (o->ls->count < PF_LISTENERS_MAX)
        return 0;
    return pf_error_set(
        o->error, PREFORK_EXIT_CONFIG, ENOSPC, "port %s: more than %d listening sockets%s",
        o->endpoint->port, PF_LISTENERS_MAX,
        o->endpoint->shards > 1 ? "; each address has as many as shards says" : "");
}

static int
count_covered(struct opening *o, struct pf_listener *l)
{
    o->served++;
    if (l->inherited) {
        l->endpoint = o->endpoint;
        l->proto = o->endpoint->proto;
    } else {
        tell(o, "%s is named twice: one socket serves both", l->address);
    }
    return 0;
}

/* ---- TCP and UDP ----------------------------------------------------------------------
 */

/* Does l, bound to a, already do what t asks for? From outside, half of a dual-stack
 * wildcard is taken for the whole: who handed it in decided so, and binding the other half
 * may need privileges we lack. */
static bool
covers(const struct pf_listener *l, const union pf_target_address *a, socklen_t length,
       const struct pf_target *t)
{
    unsigned port = pf_address_port(&t->address.any, t->length);

    if (port == 0 || port != pf_address_port(&a->any, length))
        return false;
    if (pf_address_same(&a->any, length, &t->address.any, t->length))
        return l->inherited || !l->v6only || t->v6only;
    if (pf_target_is_any_ipv4(&t->address))
        return pf_target_is_any_ipv6(a) && !l->v6only;
    return t->dual && l->inherited && pf_target_is_any_ipv4(a);
}

static struct pf_listener *
find_covering(const struct opening *o, const struct pf_target *t)
{
    union pf_target_address address = {.any.sa_family = AF_UNSPEC};
    socklen_t length = 0;

    for (unsigned i = 0; i < o->ls->count; i++) {
        struct pf_listener *l = &o->ls->table[i];
        if (!pf_proto_differ(l->proto, o->endpoint->proto) &&
            pf_listener_bound(l, &address, &length) == 0 && covers(l, &address, length, t))
            return l;
    }
    return NULL;
}

/* ---- what was handed over -------------------------------------------------------------
 */

/* It would have been refused, had it not been there before. */
static bool
is_blocked(const struct opening *o, const struct pf_listener *h)
{
    for (unsigned i = 0; i < o->ls->count; i++) {
        if (o->ls->table[i].beside && pf_listeners_collide(&o->ls->table[i], h))
            return true;
    }
    return false;
}

/* Entry i of it serves the endpoint from here on. */
static int
take(struct opening *o, unsigned i)
{
    struct pf_listener *l = &o->ls->table[o->ls->count];
    int r = check_room(o);

    if (r == 0 && is_blocked(o, &o->ls->handed[i]))
        r = -EADDRINUSE;
    if (r < 0)
        return r;
    pf_handed_take(o->ls, i, l);
    l->endpoint = o->endpoint;
    l->proto = o->endpoint->proto;
    l->any_port = !pf_proto_is_unix(l->proto) && o->targets.port == 0;
    o->ls->count++;
    o->served++;
    return 0;
}

/* A new socket. One that was handed over may be in its way, and leave later. */
static int
make_socket(const struct opening *o, const struct pf_target *t,
            struct pf_socket_order *order)
{
    const unsigned port = pf_address_port(&t->address.any, t->length);
    int r = pf_socket_open(o->endpoint, t, order);

    if (r != -EADDRINUSE || !pf_handed_share(o->ls, o->endpoint->proto, port, true))
        return r;
    order->beside = true;
    r = pf_socket_open(o->endpoint, t, order);
    (void)pf_handed_share(o->ls, o->endpoint->proto, port, false);
    return r;
}

/* ---- refusals -------------------------------------------------------------------------
 */

/* The listener of ours that has this port, if any: then the neighbour to blame is us. Only
 * one of an earlier endpoint: those of the same one do not collide. */
static const struct pf_listener *
find_port_owner(const struct opening *o)
{
    for (unsigned i = 0; i < o->first; i++) {
        const struct pf_listener *l = &o->ls->table[i];
        if (o->port != 0 && !pf_proto_differ(l->proto, o->endpoint->proto) &&
            pf_listener_port(l) == o->port)
            return l;
    }
    return NULL;
}

/* What the person can do about it, for refusals that have a usual cause. */
static const char *
advise(const struct opening *o, const struct pf_target *t, int errnum)
{
    switch (errnum) {
    case EADDRINUSE:
        return pf_proto_is_datagram(o->endpoint->proto)
                   ? "in use by another process (ss -lunp shows which): stop it, or choose "
                     "another port"
                   : "in use by another process (ss -ltnp shows which): stop it, or choose "
                     "another port";
    case EACCES:
        return o->port < 1024 ? "permission denied: ports below 1024 need root or "
                                "CAP_NET_BIND_SERVICE"
                              : "permission denied";
    case EADDRNOTAVAIL: return "no such address on this machine (ip address shows them)";
    case EAFNOSUPPORT: return "this machine has no such IP version";
    case EMFILE: return "too many open files: raise the limit (ulimit -n, LimitNOFILE=)";
    case EINVAL:
        if (pf_target_lacks_scope(t))
            return "a link-local address needs its interface, as in [fe80::1%eth0]:80";
        return strerror(errnum);
    default: return strerror(errnum);
    }
}

static int
refuse_target(const struct opening *o, const struct pf_target *t, int errnum)
{
    const struct pf_listener *owner = errnum == EADDRINUSE ? find_port_owner(o) : NULL;
    char host[PF_ADDRESS_TEXT_BYTES];

    pf_address_host(&t->address.any, t->length, host, sizeof host);
    if (owner)
        return pf_error_set(o->error, PREFORK_EXIT_CONFIG, errnum,
                            "port %u on %s: this server already listens on %s", o->port,
                            host, owner->address);
    return pf_error_set(o->error, PREFORK_EXIT_SYSTEM, errnum, "port %u on %s: %s", o->port,
                        host, advise(o, t, errnum));
}

/* What the kernel says at socket, setsockopt or bind where IPv6 is not compiled in,
 * switched off, or without any address. */
static bool
means_no_ipv6(int errnum)
{
    return errnum == EAFNOSUPPORT || errnum == EADDRNOTAVAIL || errnum == EINVAL;
}

/* "localhost" has an IPv6 address even where the machine has none. */
static bool
may_skip(const struct pf_target *t, int errnum)
{
    if (!t->optional || t->address.any.sa_family != AF_INET6)
        return false;
    return errnum == EAFNOSUPPORT ||
           (errnum == EADDRNOTAVAIL && IN6_IS_ADDR_LOOPBACK(&t->address.v6.sin6_addr));
}

/* ---- one address ----------------------------------------------------------------------
 */

/* Beside a first shard that is in service the others would be sent clients at once, whom a
 * way back could only reset: so they listen from the commit on. */
static bool
is_held(const struct opening *o, unsigned shard)
{
    const struct pf_listener *first = &o->ls->table[o->ls->count - shard];

    return shard > 0 && first->before.place > 0;
}

static int
open_shard(struct opening *o, const struct pf_target *t, unsigned shard)
{
    const bool held = is_held(o, shard);
    struct pf_socket_order order = {.shard = shard, .held = held || o->ls->rehearsal};
    struct pf_listener *l = &o->ls->table[o->ls->count];
    int r = check_room(o);
    int handed = o->port == 0 && o->afresh
                     ? -1
                     : pf_handed_find(o->ls, o->endpoint->proto, t, shard);

    if (r < 0)
        return r;
    if (handed >= 0)
        return take(o, (unsigned)handed);
    r = make_socket(o, t, &order);
    if (r >= 0)
        r = add_listener(o, r);
    if (r < 0)
        return r;
    l->shard = shard;
    l->beside = order.beside;
    l->held = held;
    l->any_port = o->targets.port == 0;
    return 0;
}

/* The kernel lets only sockets of one user share an address, and who opened the first may
 * have given up root since. */
static int
refuse_shard(const struct opening *o, const struct pf_listener *first, int errnum)
{
    struct stat st;

    if (errnum != EADDRINUSE || fstat(first->fd, &st) < 0 || st.st_uid == geteuid())
        return -errnum;
    return pf_error_set(o->error, PREFORK_EXIT_SYSTEM, EPERM,
                        "%s: sockets cannot be added to one that user %u opened: restart "
                        "the server for more shards",
                        first->address, (unsigned)st.st_uid);
}

/* All of them have the port that the first one got. */
static int
open_shards(struct opening *o, struct pf_target *t)
{
    const unsigned first = o->ls->count;
    int r = open_shard(o, t, 0);

    if (r < 0 || o->endpoint->shards <= 1)
        return r;
    pf_address_set_port(&t->address.any, pf_listener_port(&o->ls->table[first]));
    r = pf_socket_share(o->ls->table[first].fd, true);
    for (unsigned i = 1; r == 0 && i < o->endpoint->shards; i++)
        r = open_shard(o, t, i);
    return r < 0 ? refuse_shard(o, &o->ls->table[first], -r) : 0;
}

static int
open_target(struct opening *o, struct pf_target *t)
{
    struct pf_listener *covering;

    pf_address_set_port(&t->address.any, o->port);
    covering = find_covering(o, t);
    return covering ? count_covered(o, covering) : open_shards(o, t);
}

static void
narrow_to_ipv4(struct opening *o, struct pf_target *t)
{
    tell(o, "no IPv6 here: listening on 0.0.0.0:%s only", o->endpoint->port);
    memset(t, 0, sizeof *t);
    t->address.v4.sin_family = AF_INET;
    t->length = sizeof t->address.v4;
}

static int
serve_target(struct opening *o, struct pf_target *t, bool last)
{
    char text[PF_ADDRESS_TEXT_BYTES];
    int e = open_target(o, t);

    if (e < 0 && t->dual && means_no_ipv6(-e)) {
        narrow_to_ipv4(o, t);
        e = open_target(o, t);
    }
    if (e < 0 && may_skip(t, -e) && !(last && o->served == 0)) {
        pf_address_format(&t->address.any, t->length, text, sizeof text);
        tell(o, "no IPv6 here: not listening on %s", text);
        return 0;
    }
    if (e < 0)
        return refuse_target(o, t, -e);
    if (o->port == 0)
        o->port = pf_listener_port(&o->ls->table[o->ls->count - 1]);
    return 0;
}

static int
serve_targets(struct opening *o)
{
    int e = 0;

    for (unsigned i = 0; e == 0 && i < o->targets.count; i++)
        e = serve_target(o, &o->targets.table[i], i + 1 == o->targets.count);
    return e;
}

/* Port 0: the kernel's choice for the first address may be taken on the next one. Then it
 * is asked for another. */
static int
serve_targets_on_any_port(struct opening *o)
{
    int e = serve_targets(o);

    for (int tries = 0; e == -EADDRINUSE && tries < ANY_PORT_TRIES; tries++) {
        take_back(o);
        o->served = 0;
        o->port = 0;
        o->afresh = true;
        if (o->error)
            *o->error = (struct pf_error){0};
        e = serve_targets(o);
    }
    return e;
}

static int
open_ip(struct opening *o)
{
    int e = pf_targets_find(&o->targets, o->endpoint, o->error);

    if (e < 0)
        return e;
    o->port = o->targets.port;
    return o->port == 0 ? serve_targets_on_any_port(o) : serve_targets(o);
}

/* ---- unix -----------------------------------------------------------------------------
 */

/* A path is one socket, and a socket has one type. */
static int
refuse_type(const struct opening *o)
{
    return pf_error_set(o->error, PREFORK_EXIT_CONFIG, EADDRINUSE,
                        "socket %s: this server already listens there with a socket of "
                        "another type: choose another path for one of them",
                        o->endpoint->port);
}

static int
refuse_long_path(const struct opening *o)
{
    return pf_error_set(o->error, PREFORK_EXIT_SYSTEM, ENAMETOOLONG,
                        "socket %s: too long a path for a socket of another type to take "
                        "it over: restart the server",
                        o->endpoint->port);
}

/* With `staged` a socket of another type is at the path until the commit. */
static int
make_path(struct opening *o, bool staged)
{
    struct pf_endpoint there = *o->endpoint;
    struct pf_listener *l = &o->ls->table[o->ls->count];
    struct pf_path_file file;
    int r = check_room(o);

    if (r < 0)
        return r;
    if (staged && !pf_path_beside(o->endpoint->port, there.port))
        return refuse_long_path(o);
    r = pf_path_open(&there, o->ls->rehearsal, &file, o->error);
    if (r < 0)
        return r;
    r = add_listener(o, r);
    if (r < 0) {
        pf_path_unlink(there.port, &file);
        return r;
    }
    (void)snprintf(l->address, sizeof l->address, "%s", o->endpoint->port);
    l->staged = staged;
    l->file = file;
    return 0;
}

static int
take_path(struct opening *o, unsigned i)
{
    int r = pf_path_may_change(o->endpoint, &o->ls->handed[i].file, o->error);

    return r < 0 ? r : take(o, i);
}

static int
open_unix(struct opening *o)
{
    const char *path = o->endpoint->port;

    for (unsigned i = 0; i < o->ls->count; i++) {
        struct pf_listener *l = &o->ls->table[i];
        if (l->family == AF_UNIX && strcmp(l->address, path) == 0)
            return pf_proto_differ(l->proto, o->endpoint->proto) ? refuse_type(o)
                                                                 : count_covered(o, l);
    }
    for (unsigned i = 0; i < o->ls->handed_count; i++) {
        const struct pf_listener *h = &o->ls->handed[i];
        if (h->family == AF_UNIX && strcmp(h->address, path) == 0 &&
            pf_path_is(path, &h->file))
            return pf_proto_differ(h->proto, o->endpoint->proto) ? make_path(o, true)
                                                                 : take_path(o, i);
    }
    return make_path(o, false);
}

/* ---- all of them ----------------------------------------------------------------------
 */

int
pf_listeners_open(struct pf_listeners *ls, const struct pf_endpoint *endpoint,
                  pf_listener_note *note, void *context, struct pf_error *error)
{
    struct opening o = {
        .ls = ls,
        .endpoint = endpoint,
        .note = note,
        .context = context,
        .error = error,
        .first = ls->count,
    };
    int e = pf_proto_is_unix(endpoint->proto) ? open_unix(&o) : open_ip(&o);

    if (e < 0)
        take_back(&o);
    return e;
}
