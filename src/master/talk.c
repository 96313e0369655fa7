/* The wires of child_communication: when their hook is called.
 *
 * What comes on a wire is the program's own affair; here is only the waiting. A wire is
 * reported when something new has come (edge-triggered), and is asked for again if the hook
 * took some and left some. So a hook that reads one record at a time gets them all, and one
 * that reads nothing cannot keep the master awake: it is called again when more comes, and
 * the worker that goes on writing comes to wait for room. Whether the hook took anything is
 * seen by what is left. If more came meanwhile that cannot be told, but then the new
 * arrival was reported too, so nothing is left lying either.
 *
 * Without the hook nobody is woken: then the program looks at its wires when it likes. The
 * end of a stream closes the wire, and so does the end of the worker, after the hook was
 * given what the worker had still said. */
#include "link/wire.h"
#include "log/log.h"
#include "master/master.h"
#include "master/tags.h"
#include "os/fd.h"

enum {
    LAST = 256, /* calls for a dead worker's last words */
};

int
pf_master_watch_wire(struct pf_master *m, unsigned slot, int wire)
{
    if (wire < 0 || !m->setup.recipe->app.child_is_talking_hook)
        return 0;
    return pf_wait_add_edge(&m->wait, wire, pf_tag(PF_TAG_WIRE, slot));
}

static void
lose_wire(struct pf_master *m, unsigned slot)
{
    pf_wait_remove(&m->wait, m->children[slot].wire);
    pf_fd_close(&m->children[slot].wire);
}

/* The hook, if there is something to read. True: it took some, and left some. */
static bool
talk(struct pf_master *m, unsigned slot)
{
    const struct prefork_app *app = &m->setup.recipe->app;
    struct pf_child *child = &m->children[slot];
    int before = pf_wire_unread(child->wire);
    int left;

    if (before == 0 || !app->child_is_talking_hook)
        return false;
    app->child_is_talking_hook(m->pool.slots[slot].pid, child->wire, app->data);
    left = pf_wire_unread(child->wire);
    if (left == before && !child->told_unread) {
        child->told_unread = true;
        pf_log(
            PREFORK_LOG_WARNING,
            "child_is_talking_hook left %d bytes of worker %d unread: it is called again "
            "when more comes",
            left, (int)m->pool.slots[slot].pid);
    }
    return left > 0 && left < before;
}

void
pf_master_talk(struct pf_master *m, unsigned slot)
{
    int wire = m->children[slot].wire;

    if (wire < 0)
        return; /* its worker ended in this very turn */
    if (talk(m, slot) ? pf_master_watch_wire(m, slot, wire) < 0 : pf_wire_is_over(wire))
        lose_wire(m, slot);
}

void
pf_master_talk_last(struct pf_master *m, unsigned slot)
{
    unsigned calls = 0;

    if (m->children[slot].wire < 0)
        return;
    while (talk(m, slot) && ++calls < LAST)
        continue;
    lose_wire(m, slot);
}
