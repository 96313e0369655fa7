/* Clients that left programs which accept by themselves.
 *
 * Such a program registers nothing anywhere, so there is no event: the kernel is asked
 * every check_for_disconnect which connections at the server's ports have lost their
 * client, and to whom they belong is found out by the inode of the socket among the
 * descriptors of the workers and the processes of their groups. That is asked only about
 * connections that are new to the list; each is told once. The list keeps a connection
 * while the kernel does.
 *
 * The list has a fixed size, and so much is looked into in one round; what does not fit is
 * met again in the next. A process that must not be looked at (it changed its user) is told
 * about once, and its clients are not. */
#include "base/address.h"
#include "log/log.h"
#include "master/master.h"
#include "net/diag.h"
#include "os/holder.h"
#include "os/memory.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum {
    KNOWN_MAX = 4096,
    NEWS_MAX = 128, /* in a round */
};

/* A connection without a client that was looked into. */
struct known {
    uint64_t inode;
    uint64_t cookie;
    uint64_t round; /* in which the kernel had it last */
};

/* One that is about to be. */
struct news {
    struct pf_diag_socket socket;
    const struct pf_listener *listener;
    bool told;
};

struct pf_patrol {
    struct pf_master *master;
    pf_time next;
    uint64_t round;
    bool told_blind; /* that a process cannot be looked into */
    unsigned slot;   /* of the worker whose group is looked at */
    unsigned left;   /* news whose owner is not found */
    unsigned known_count;
    unsigned news_count;
    struct known known[KNOWN_MAX];
    struct news news[NEWS_MAX];
};

int
pf_master_open_patrol(struct pf_master *m)
{
    if (!pf_master_heeds_departures(m) || m->setup.recipe->handler != PF_HANDLER_WAIT)
        return 0;
    m->patrol = pf_memory_new_own(sizeof *m->patrol);
    if (!m->patrol)
        return -ENOMEM;
    m->patrol->master = m;
    return 0;
}

void
pf_master_close_patrol(struct pf_master *m)
{
    pf_memory_free(m->patrol, sizeof *m->patrol);
    m->patrol = NULL;
}

pf_time
pf_master_patrol_at(const struct pf_master *m)
{
    return m->patrol && pf_pool_alive(&m->pool) > 0 ? m->patrol->next : PF_NEVER;
}

/* ---- which connections --------------------------------------------------------------- */

static bool
is_known(struct pf_patrol *p, const struct pf_diag_socket *s)
{
    for (unsigned i = 0; i < p->known_count; i++) {
        struct known *k = &p->known[i];
        if (k->inode != s->inode || k->cookie != s->cookie)
            continue;
        k->round = p->round;
        return true;
    }
    return false;
}

static bool
is_at_listener(const struct pf_listener *l, const struct pf_diag_socket *s)
{
    char name[PF_LISTENER_TEXT_BYTES];

    if (pf_proto_is_datagram(l->proto))
        return false;
    if (l->family == AF_UNIX) {
        pf_listener_name(l, name, sizeof name);
        return strcmp(name, s->path) == 0;
    }
    return s->path[0] == '\0' &&
           pf_listener_port(l) ==
               pf_address_port((const struct sockaddr *)&s->local, sizeof s->local);
}

static const struct pf_listener *
listener_of(const struct pf_patrol *p, const struct pf_diag_socket *s)
{
    const struct pf_listeners *listeners = p->master->setup.listeners;

    for (unsigned i = 0; i < listeners->count; i++) {
        if (is_at_listener(&listeners->table[i], s))
            return &listeners->table[i];
    }
    return NULL;
}

static bool
note(void *context, const struct pf_diag_socket *s)
{
    struct pf_patrol *p = context;
    const struct pf_listener *l = listener_of(p, s);
    bool half_counts = p->master->setup.recipe->half_close_is_end;

    if (!l || !(s->left || (s->half && half_counts)) || is_known(p, s))
        return true;
    if (p->news_count < NEWS_MAX && p->known_count + p->news_count < KNOWN_MAX)
        p->news[p->news_count++] = (struct news){.socket = *s, .listener = l};
    return true;
}

static bool
listens_at(const struct pf_patrol *p, int family)
{
    const struct pf_listeners *listeners = p->master->setup.listeners;

    for (unsigned i = 0; i < listeners->count; i++) {
        if (listeners->table[i].family == family &&
            !pf_proto_is_datagram(listeners->table[i].proto))
            return true;
    }
    return false;
}

/* False: not all were seen. */
static bool
gather(struct pf_patrol *p)
{
    static const int families[] = {AF_INET, AF_INET6};
    bool half_counts = p->master->setup.recipe->half_close_is_end;
    int r = 0;

    p->round++;
    p->news_count = 0;
    for (size_t i = 0; i < PF_COUNT(families) && half_counts && r == 0; i++) {
        if (listens_at(p, families[i]))
            r = pf_diag_each_left(families[i], note, p);
    }
    if (r == 0 && listens_at(p, AF_UNIX))
        r = pf_diag_each_unix(note, p);
    return r == 0;
}

/* Those that the kernel does not have any more. */
static void
forget(struct pf_patrol *p)
{
    for (unsigned i = 0; i < p->known_count;) {
        if (p->known[i].round == p->round)
            i++;
        else
            p->known[i] = p->known[--p->known_count];
    }
}

/* ---- whose they are ------------------------------------------------------------------ */

static bool
match(void *context, uint64_t inode)
{
    struct pf_patrol *p = context;
    struct pf_master *m = p->master;

    for (unsigned i = 0; i < p->news_count; i++) {
        struct news *n = &p->news[i];
        if (n->told || n->socket.inode != inode)
            continue;
        n->told = true;
        p->left--;
        pf_master_tell_departure(m, p->slot, n->listener, &n->socket.local,
                                 &n->socket.peer);
        pf_pool_client_gone(&m->pool, p->slot);
    }
    return p->left > 0;
}

/* One that has just ended is no news. */
static void
look_into(struct pf_patrol *p, pid_t pid)
{
    int r = pf_holder_sockets(pid, match, p);

    if ((r != -EACCES && r != -EPERM) || p->told_blind)
        return;
    p->told_blind = true;
    pf_log(
        PREFORK_LOG_NOTICE,
        "on_client_disconnect: process %d does not let itself be looked into (%s), so its "
        "clients are not seen to go",
        (int)pid, strerror(-r));
}

static void
look_into_workers(struct pf_patrol *p)
{
    const struct pf_pool *pool = &p->master->pool;

    for (unsigned i = 0; i < pool->used && p->left > 0; i++) {
        p->slot = i;
        if (pf_life_alive(pool->slots[i].life) && pool->slots[i].kind == PF_KIND_WORKER)
            look_into(p, pool->slots[i].pid);
    }
}

static bool
look_into_member(void *context, pid_t pid, pid_t group)
{
    struct pf_patrol *p = context;
    const struct pf_pool *pool = &p->master->pool;

    for (unsigned i = 0; i < pool->used && pid != group; i++) {
        if (!pf_life_alive(pool->slots[i].life) || pool->slots[i].pid != group)
            continue;
        p->slot = i;
        look_into(p, pid);
        break;
    }
    return p->left > 0;
}

/* Others may listen at such a port as well: what nobody here has is remembered like the
 * rest, so that it is not looked for again. */
static void
remember(struct pf_patrol *p)
{
    for (unsigned i = 0; i < p->news_count; i++)
        p->known[p->known_count++] =
            (struct known){p->news[i].socket.inode, p->news[i].socket.cookie, p->round};
}

void
pf_master_patrol(struct pf_master *m)
{
    struct pf_patrol *p = m->patrol;

    if (!p || m->now < p->next)
        return;
    p->next = pf_time_after(m->now, m->policy.check_for_disconnect);
    if (gather(p))
        forget(p);
    p->left = p->news_count;
    if (p->left > 0)
        look_into_workers(p);
    if (p->left > 0)
        pf_holder_processes(look_into_member, p); /* what is left then is nobody's */
    remember(p);
}
