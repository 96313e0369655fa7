/* The master's desk: what the program may lay on it from its hooks, or a signal handler.
 *
 * The public calls have no server in their arguments, because a signal handler has none to
 * give. So there is one place in the process where the running master can be found, and it
 * is empty in a worker, before and after.
 *
 * A wish to stop is taken up in the next turn, also one from before the first: the bell is
 * rung if there is one already. */
#include "base/attr.h"
#include "master/master.h"
#include "os/wake.h"

#include <signal.h>
#include <unistd.h>

enum {
    REASON_BYTES = 256,
};

static struct {
    struct pf_master *master; /* only in this process (os/memory.h) */
    pid_t pid;
    volatile sig_atomic_t bell; /* -1: none */
    volatile sig_atomic_t stop; /* is wanted */
    char reason[REASON_BYTES];  /* for which; complete once stop is set */
} desk PF_PER_WORKER = {.bell = -1};

void
pf_master_open_desk(struct pf_master *m)
{
    desk.master = m;
    desk.pid = getpid();
    desk.bell = m->wake;
}

void
pf_master_clear_desk(void)
{
    desk.master = NULL;
    desk.bell = -1;
    desk.stop = 0;
}

bool
pf_master_want_stop(const char *reason)
{
    size_t i;

    if (desk.stop)
        return false;
    for (i = 0; i < REASON_BYTES - 1 && reason[i] != '\0'; i++)
        desk.reason[i] = reason[i];
    desk.reason[i] = '\0';
    desk.stop = 1;
    if (desk.bell >= 0)
        pf_wake_ring(desk.bell);
    return true;
}

const char *
pf_master_wanted_stop(void)
{
    if (!desk.stop)
        return NULL;
    return desk.reason[0] != '\0' ? desk.reason : "prefork_stop";
}

void
pf_master_heed_desk(struct pf_master *m)
{
    if (desk.stop)
        pf_master_stop(m, 0, desk.reason);
}

int
pf_master_child_fd(pid_t pid)
{
    const struct pf_master *m = desk.pid == getpid() ? desk.master : NULL;

    for (unsigned i = 0; m && i < m->pool.used; i++) {
        const struct pf_slot *s = &m->pool.slots[i];
        if (pf_life_alive(s->life) && s->pid == pid)
            return m->children[i].wire;
    }
    return -1;
}
