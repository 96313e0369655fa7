/* Has a program that accepts by itself taken a connection?
 *
 * The kernel does not tell who accepted at a socket that several processes have. But who
 * did has a descriptor: its inode is among those of the process in /proc/PID/fd, and
 * sock_diag(7) knows the same inode as a connected socket at our address. Connections that
 * still wait have no inode, and a connection that the program made itself has another port.
 *
 * Seen is only what is held at the moment of the look, by the process itself and not by its
 * children, where /proc lets the master look into it. So yes is certain, and no means
 * nothing. Both questions are dear by the measure of the loop: they are asked while
 * somebody waits for the answer (ready.c), and the second only about processes that have a
 * socket which is no listener. */
#include "master/master.h"
#include "net/diag.h"
#include "os/holder.h"

#include <string.h>
#include <sys/stat.h>

enum {
    SOCKETS_MAX = 64, /* looked at in one process */
};

struct look {
    const struct pf_listeners *listeners;
    unsigned count;
    uint64_t inodes[SOCKETS_MAX]; /* that the process has, listeners apart */
    bool found;
};

static bool
is_listener(const struct pf_listeners *ls, uint64_t inode)
{
    struct stat st;

    for (unsigned i = 0; i < ls->count; i++) {
        if (fstat(ls->table[i].fd, &st) == 0 && st.st_ino == inode)
            return true;
    }
    return false;
}

static bool
note(void *context, uint64_t inode)
{
    struct look *look = context;

    if (!is_listener(look->listeners, inode))
        look->inodes[look->count++] = inode;
    return look->count < SOCKETS_MAX;
}

static bool
match(void *context, const struct pf_diag_socket *s)
{
    struct look *look = context;

    for (unsigned i = 0; i < look->count && !look->found; i++)
        look->found = look->inodes[i] == s->inode;
    return !look->found;
}

static void
look_at_unix(struct look *look, const struct pf_listener *l)
{
    char name[PF_LISTENER_TEXT_BYTES];
    struct pf_diag_socket s;

    pf_listener_name(l, name, sizeof name);
    for (unsigned i = 0; i < look->count && !look->found; i++)
        look->found = pf_diag_unix(look->inodes[i], &s) == 0 && strcmp(name, s.path) == 0;
}

/* False: the kernel does not say. */
static bool
look_at(struct look *look, const struct pf_listener *l)
{
    if (pf_proto_is_datagram(l->proto))
        return true;
    if (l->family != AF_UNIX)
        return pf_diag_each_at(l->family, pf_listener_port(l), match, look) == 0;
    look_at_unix(look, l);
    return true;
}

bool
pf_master_has_taken(const struct pf_master *m, unsigned slot)
{
    struct look look = {.listeners = m->setup.listeners};

    if (pf_holder_sockets(m->pool.slots[slot].pid, note, &look) < 0)
        return false;
    for (unsigned i = 0; i < look.listeners->count && look.count > 0 && !look.found; i++) {
        if (!look_at(&look, &look.listeners->table[i]))
            break;
    }
    return look.found;
}
