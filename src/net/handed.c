/* Listening sockets over a change of masters.
 *
 * Two tables: what the server listens on, and what was handed over and nobody has asked
 * for. A socket moves from the second to the first when an endpoint asks for it
 * (net/opening.c). So the first has the order of the settings, as after a start, and who
 * only wants to know where to listen never looks at the second.
 *
 * What always holds: until the commit a socket that was handed over can be given back as it
 * was. So all that others can see of it waits: backlog, broadcast, mode and owner. The only
 * exception is SO_REUSEPORT, which a first shard needs before there can be a second, and
 * which is put back.
 *
 * A socket that nobody wants any more may have clients in its queue, whom close(2) would
 * reset. They are accepted by workers of the master before while no new ones are let in:
 * there is no path any more, or a filter drops each packet that begins a connection. (The
 * filter is inherited by connections that are accepted from there, and meets nothing in
 * them: they have begun.) When the queue is empty the socket is shut, whoever else has it.
 *
 * A handshake that had begun is in no queue that can be asked: the client's last packet is
 * still to come, and would be answered by a reset if the socket had gone meanwhile. The
 * kernel lists such requests (sock_diag(7)), but of all sockets at a port together, so that
 * a busy port with one shard less would never be without, and not those that it keeps no
 * record of (SYN cookies). So a TCP socket that is given up stays for as long as a common
 * handshake takes, whatever its queue.
 *
 * Deliberately absent: who tells whom (link/state.h), and when (master/). */
#include "net/handed.h"

#include "base/address.h"
#include "net/given.h"
#include "net/socket.h"
#include "net/target.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- taking over ----------------------------------------------------------------------
 */

struct pf_listener_handed
pf_listener_describe(const struct pf_listener *l)
{
    return (struct pf_listener_handed){
        .fd = l->fd,
        .id = l->id,
        .proto = l->proto,
        .shard = l->shard,
        .inherited = l->inherited,
        .any_port = l->any_port,
        .dev = l->file.dev,
        .ino = l->file.ino,
        .address = l->address,
    };
}

/* In place of what the kernel knows: TLS, a path that was taken over from another. */
static int
believe(struct pf_listener *l, const struct pf_listener_handed *h, const char *from,
        struct pf_error *error)
{
    if (pf_proto_socket_type(h->proto) != pf_proto_socket_type(l->proto) ||
        pf_proto_is_unix(h->proto) != pf_proto_is_unix(l->proto))
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, EPROTOTYPE,
                            "%s: descriptor %d is not for %s", from, h->fd,
                            pf_proto_name(h->proto));
    l->proto = h->proto;
    if (l->family == AF_UNIX)
        (void)snprintf(l->address, sizeof l->address, "%s", h->address);
    return 0;
}

/* The same open socket, handed in once more: a service manager does so with its own when it
 * also kept ours for us. */
static struct pf_listener *
find_twin(struct pf_listeners *ls, const struct pf_listener *l)
{
    struct stat a, b;

    for (unsigned i = 0; i < ls->count; i++) {
        if (ls->table[i].before.place == 0 && fstat(l->fd, &a) == 0 &&
            fstat(ls->table[i].fd, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev)
            return &ls->table[i];
    }
    return NULL;
}

/* What was inherited anew got the next number, which no worker has used yet. */
static void
claim_id(struct pf_listeners *ls, unsigned id)
{
    if (id >= ls->next_id)
        ls->next_id = id + 1;
    for (unsigned i = 0; i < ls->count; i++) {
        if (ls->table[i].id == id)
            ls->table[i].id = ls->next_id++;
    }
}

static void
put(struct pf_listeners *ls, struct pf_listener *l)
{
    struct pf_listener *twin = l->inherited ? find_twin(ls, l) : NULL;

    if (twin) {
        (void)close(l->fd); /* nothing was written to it */
        l->fd = twin->fd;
        *twin = *l;
    } else if (l->inherited) {
        ls->table[ls->count++] = *l;
    } else {
        ls->handed[ls->handed_count++] = *l;
    }
}

int
pf_listeners_adopt(struct pf_listeners *ls, const struct pf_listener_handed *h,
                   struct pf_error *error)
{
    struct pf_listener l = {.fd = h->fd,
                            .id = h->id,
                            .shard = h->shard,
                            .inherited = h->inherited,
                            .any_port = h->any_port,
                            .file = {.dev = h->dev, .ino = h->ino}};
    char from[PF_LISTENER_TEXT_BYTES + 32];
    int e;

    (void)snprintf(from, sizeof from, "%s, handed over", h->address); /* cut is fine */
    if (ls->count + ls->handed_count == PF_LISTENERS_MAX)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, ENOSPC,
                            "%s: more than %d listening sockets", from, PF_LISTENERS_MAX);
    e = pf_given_learn(&l, from, error);
    if (e == 0)
        e = believe(&l, h, from, error);
    if (e < 0)
        return e;
    l.before.place = ++ls->adopted;
    l.before.proto = l.proto;
    l.before.any_port = l.any_port;
    l.before.shared = l.family != AF_UNIX && pf_socket_is_shared(l.fd);
    claim_id(ls, l.id);
    put(ls, &l);
    return 0;
}

/* ---- for whoever opens ----------------------------------------------------------------
 */

static bool
answers(const struct pf_listener *h, enum pf_proto proto, const struct pf_target *t,
        unsigned shard)
{
    union pf_target_address address = {.any.sa_family = AF_UNSPEC};
    socklen_t length = 0;

    if (h->shard != shard || h->v6only != t->v6only || pf_proto_differ(h->proto, proto) ||
        pf_listener_bound(h, &address, &length) < 0)
        return false;
    if (pf_address_port(&t->address.any, t->length) == 0) {
        if (!h->any_port)
            return false;
        pf_address_set_port(&address.any, 0);
    }
    return pf_address_same(&address.any, length, &t->address.any, t->length);
}

int
pf_handed_find(const struct pf_listeners *ls, enum pf_proto proto,
               const struct pf_target *t, unsigned shard)
{
    for (unsigned i = 0; i < ls->handed_count; i++) {
        if (answers(&ls->handed[i], proto, t, shard))
            return (int)i;
    }
    return -1;
}

bool
pf_handed_share(const struct pf_listeners *ls, enum pf_proto proto, unsigned port, bool on)
{
    bool found = false;

    for (unsigned i = 0; i < ls->handed_count; i++) {
        const struct pf_listener *h = &ls->handed[i];
        if (h->family == AF_UNIX || pf_proto_differ(h->proto, proto) ||
            pf_listener_port(h) != port)
            continue;
        found = true;
        (void)pf_socket_share(h->fd, on || h->before.shared); /* bind(2) will tell */
    }
    return found;
}

void
pf_handed_take(struct pf_listeners *ls, unsigned i, struct pf_listener *ret_listener)
{
    *ret_listener = ls->handed[i];
    ls->handed_count--;
    memmove(&ls->handed[i], &ls->handed[i + 1],
            (ls->handed_count - i) * sizeof ls->handed[0]);
}

static void
put_back(struct pf_listeners *ls, const struct pf_listener *l)
{
    unsigned at = ls->handed_count;
    struct pf_listener *h;

    while (at > 0 && ls->handed[at - 1].before.place > l->before.place)
        at--;
    h = &ls->handed[at];
    memmove(h + 1, h, (ls->handed_count - at) * sizeof *h);
    ls->handed_count++;
    *h = *l;
    h->endpoint = NULL;
    h->proto = l->before.proto;
    h->any_port = l->before.any_port;
    if (h->family != AF_UNIX && !h->inherited)
        (void)pf_socket_share(h->fd, l->before.shared); /* it could be set before */
}

void
pf_handed_let_go(struct pf_listeners *ls, struct pf_listener *l)
{
    if (l->before.place > 0) {
        put_back(ls, l);
        return;
    }
    pf_listener_unlink(l);
    (void)close(l->fd); /* nothing was written to it */
}

/* ---- in a worker ----------------------------------------------------------------------
 */

void
pf_listeners_forget_handed(struct pf_listeners *ls)
{
    if (ls->handed_count == 0)
        return; /* a page that is not written is not copied */
    for (unsigned i = 0; i < ls->handed_count; i++)
        (void)close(ls->handed[i].fd); /* nothing was written to it */
    ls->handed_count = 0;
}

/* ---- the commit -----------------------------------------------------------------------
 */

static void
tell(pf_listener_note *note, void *context, const struct pf_listener *l, const char *what,
     const char *why)
{
    char text[PF_ERROR_TEXT_BYTES];

    if (!note)
        return;
    (void)snprintf(text, sizeof text, "%s: %s: %s", l->address, what, why);
    note(context, text);
}

static int
set_options(const struct pf_listener *l)
{
    const struct pf_endpoint *e = l->endpoint;

    if (l->proto == PF_PROTO_UDP)
        return pf_socket_broadcast(l->fd, e->broadcast);
    if (l->proto == PF_PROTO_UNIXDGRAM)
        return 0;
    if (listen(l->fd, e->backlog) < 0) /* if again, only the length of the queue changes */
        return -errno;
    return l->family == AF_UNIX ? 0 : pf_socket_share(l->fd, e->shards > 1);
}

static void
put_into_force(const struct pf_listener *l, pf_listener_note *note, void *context)
{
    int e = set_options(l);

    if (e < 0)
        tell(note, context, l, "its new settings cannot be set", strerror(-e));
    e = l->family == AF_UNIX ? pf_path_change(l->endpoint, &l->file) : 0;
    if (e < 0)
        tell(note, context, l, "its owner and mode cannot be changed", strerror(-e));
}

/* Whose file is at the path now. */
static struct pf_listener *
find_owner(struct pf_listeners *ls, const struct pf_listener *l)
{
    for (unsigned i = 0; i < ls->handed_count; i++) {
        struct pf_listener *h = &ls->handed[i];
        if (strcmp(h->address, l->address) == 0 && pf_path_is(h->address, &h->file))
            return h;
    }
    return NULL;
}

static void
take_over_path(struct pf_listeners *ls, struct pf_listener *l, pf_listener_note *note,
               void *context)
{
    struct pf_listener *owner = find_owner(ls, l);
    struct pf_error error = {0};

    if (pf_path_replace(l->address, owner != NULL, &error) < 0) {
        if (note)
            note(context, error.text);
        return;
    }
    l->staged = false;
    if (owner)
        owner->file = (struct pf_path_file){0};
}

/* Drop each packet that begins a TCP connection: SYN without ACK. */
static void
refuse_new(int fd)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), /* the flags of the header */
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TH_SYN | TH_ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TH_SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog program = {.len = PF_COUNT(code), .filter = code};

    /* Without it the queue takes longer to become empty. */
    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void
pf_listeners_commit(struct pf_listeners *ls, pf_time now, pf_listener_note *note,
                    void *context)
{
    ls->committed = true;
    ls->begun_by = pf_time_after(now, PF_HANDED_EMPTYING);
    for (unsigned i = 0; i < ls->count; i++) {
        struct pf_listener *l = &ls->table[i];
        if (l->held || (l->before.place > 0 && !l->inherited))
            put_into_force(l, note, context);
        if (l->staged)
            take_over_path(ls, l, note, context);
        l->beside = l->held = false;
    }
    for (unsigned i = 0; i < ls->handed_count; i++) {
        struct pf_listener *h = &ls->handed[i];
        pf_listener_unlink(h);
        if (h->family != AF_UNIX && !pf_proto_is_datagram(h->proto))
            refuse_new(h->fd);
    }
}

static bool
is_drained(const struct pf_listeners *ls, const struct pf_listener *l, pf_time now)
{
    if (now < ls->begun_by && l->family != AF_UNIX && !pf_proto_is_datagram(l->proto))
        return false;
    return pf_listener_queued(l) == 0;
}

unsigned
pf_listeners_retire(struct pf_listeners *ls, pf_time now, bool all)
{
    unsigned left = 0;

    if (!ls->committed)
        return ls->handed_count;
    for (unsigned i = 0; i < ls->handed_count; i++) {
        struct pf_listener *h = &ls->handed[i];
        if (!all && !is_drained(ls, h, now)) {
            ls->handed[left++] = *h;
            continue;
        }
        pf_listener_shut(h);
        (void)close(h->fd); /* nothing was written to it */
    }
    ls->handed_count = left;
    return left;
}

/* ---- the way back ---------------------------------------------------------------------
 */

void
pf_listeners_give_back(struct pf_listeners *ls)
{
    while (ls->count > 0) {
        struct pf_listener l = ls->table[--ls->count];
        pf_handed_let_go(ls, &l);
    }
    memcpy(ls->table, ls->handed, sizeof ls->handed);
    ls->count = ls->handed_count;
    ls->handed_count = 0;
    ls->given_back = true;
}
