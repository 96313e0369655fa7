/* The table of listeners, and what can be asked of one of them.
 *
 * What a listener is bound to is asked of the kernel each time, but for the text of its
 * address, which people read. How listeners come to be is in net/opening.c, and how one
 * master has them from another in net/handed.c.
 *
 * Deliberately absent: accepting, options of connections. */
#include "net/listener.h"

#include "base/address.h"
#include "net/handed.h"
#include "net/path.h"
#include "net/target.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

/* ---- one listener ---------------------------------------------------------------------
 */

int
pf_listener_bound(const struct pf_listener *l, union pf_target_address *ret_address,
                  socklen_t *ret_length)
{
    union pf_target_address address;
    socklen_t length = sizeof address;

    memset(&address, 0, sizeof address);
    if (getsockname(l->fd, &address.any, &length) < 0)
        return -errno;
    *ret_address = address;
    *ret_length = length;
    return 0;
}

int
pf_listener_learn(struct pf_listener *l)
{
    union pf_target_address address = {.any.sa_family = AF_UNSPEC};
    socklen_t length = 0;
    int v6only = 0;
    socklen_t size = sizeof v6only;
    int e = pf_listener_bound(l, &address, &length);

    if (e < 0)
        return e;
    if (address.any.sa_family == AF_INET6 &&
        getsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &size) < 0)
        return -errno;
    l->family = address.any.sa_family;
    l->v6only = v6only != 0;
    l->wildcard = pf_target_is_any_ipv4(&address) || pf_target_is_any_ipv6(&address);
    pf_address_format(&address.any, length, l->address, sizeof l->address);
    return 0;
}

void
pf_listener_name(const struct pf_listener *l, char *buffer, size_t size)
{
    union pf_target_address address = {.any.sa_family = AF_UNSPEC};
    socklen_t length = 0;

    buffer[0] = '\0';
    if (pf_listener_bound(l, &address, &length) == 0)
        pf_address_format(&address.any, length, buffer, size);
}

unsigned
pf_listener_port(const struct pf_listener *l)
{
    union pf_target_address address = {.any.sa_family = AF_UNSPEC};
    socklen_t length = 0;

    return pf_listener_bound(l, &address, &length) < 0
               ? 0
               : pf_address_port(&address.any, length);
}

void
pf_listener_unlink(struct pf_listener *l)
{
    char beside[PF_ENDPOINT_PORT_BYTES];

    if (l->staged && pf_path_beside(l->address, beside))
        pf_path_unlink(beside, &l->file);
    else
        pf_path_unlink(l->address, &l->file);
}

void
pf_listener_shut(struct pf_listener *l)
{
    pf_listener_unlink(l);
    if (l->proto != PF_PROTO_UDP)       /* where it would only let receivers hear nothing */
        (void)shutdown(l->fd, SHUT_RD); /* fails if it was done before */
}

bool
pf_listeners_collide(const struct pf_listener *a, const struct pf_listener *b)
{
    const struct pf_listener *six = a->family == AF_INET6 ? a : b;

    if (a->family == AF_UNIX || b->family == AF_UNIX ||
        pf_proto_differ(a->proto, b->proto) || pf_listener_port(a) != pf_listener_port(b))
        return false;
    if (a->family != b->family)
        return six->wildcard && !six->v6only;
    return a->wildcard || b->wildcard || strcmp(a->address, b->address) == 0;
}

/* ---- all of them ----------------------------------------------------------------------
 */

bool
pf_listeners_add(struct pf_listeners *ls, const struct pf_listener *l)
{
    struct pf_listener *added = &ls->table[ls->count];

    if (ls->count == PF_LISTENERS_MAX)
        return false;
    *added = *l;
    added->id = ls->next_id++;
    ls->count++;
    return true;
}

void
pf_listeners_shut(struct pf_listeners *ls)
{
    if (ls->given_back)
        return;
    for (unsigned i = 0; i < ls->count; i++) {
        if (!ls->table[i].inherited)
            pf_listener_shut(&ls->table[i]);
    }
    for (unsigned i = 0; i < ls->handed_count; i++)
        pf_listener_shut(&ls->handed[i]);
}

void
pf_listeners_close(struct pf_listeners *ls)
{
    for (unsigned i = 0; i < ls->count; i++)
        (void)close(ls->table[i].fd); /* nothing was written to it */
    ls->count = 0;
    pf_listeners_forget_handed(ls);
}

bool
pf_listeners_are_inherited(const struct pf_listeners *ls)
{
    for (unsigned i = 0; i < ls->count; i++) {
        if (ls->table[i].inherited)
            return true;
    }
    return false;
}

const struct pf_listener *
pf_listener_find(const struct pf_listeners *ls, unsigned id)
{
    for (unsigned i = 0; i < ls->count; i++) {
        if (ls->table[i].id == id)
            return &ls->table[i];
    }
    for (unsigned i = 0; i < ls->handed_count; i++) {
        if (ls->handed[i].id == id)
            return &ls->handed[i];
    }
    return NULL;
}
