/* When a program that accepts by itself is ready.
 *
 * It has no page on the board, so it stays STARTING until one of these is true:
 *
 *   it says so      READY=1 by sd_notify(3), to a socket of ours that NOTIFY_SOCKET names
 *   it took one     a connection of ours is among its descriptors (taken.c); looked for
 *                   only while a start or a trial waits for it, and by the clock
 *   it lives on     for ready_delay since its birth
 *
 * All of them presuppose that it runs: the channel is closed by its exec.
 *
 * There is one socket for all workers, and anybody may send to it. A message counts for the
 * worker that sent it, or in whose process group the sender is, by the word of the kernel:
 * a worker leads a group of its own (worker/birth.c), and so a script may let another
 * process speak for it, as long as that one waits until it was heard. What a stranger says
 * is read and dropped. So many messages are read in a turn: who talks without end costs
 * turns. They are read also when everybody is ready, or somebody with a watchdog or a
 * status to tell would wait for room in the socket.
 *
 * The socket goes on to the next master, since the programs know it by its name. */
#include "log/log.h"
#include "master/master.h"
#include "master/tags.h"
#include "os/notice.h"

#include <errno.h>

enum {
    MESSAGES_MAX = 64, /* in a turn */
    LOOKS_MAX = 16,    /* into descriptors, at a time */
};

int
pf_master_open_notices(struct pf_master *m)
{
    const struct pf_state *from = m->setup.from;

    m->notices = from ? from->fds[PF_STATE_FD_NOTICES] : -1;
    if (m->notices < 0 && m->setup.recipe->handler != PF_HANDLER_WAIT)
        return 0;
    if (m->notices < 0)
        m->notices = pf_notice_open();
    return m->notices < 0 ? m->notices
                          : pf_wait_add(&m->wait, m->notices, pf_tag(PF_TAG_NOTICE, 0));
}

static bool
is_unready(const struct pf_master *m, unsigned slot)
{
    const struct pf_slot *s = &m->pool.slots[slot];

    return m->setup.recipe->handler == PF_HANDLER_WAIT && s->kind == PF_KIND_WORKER &&
           pf_life_alive(s->life) && !s->was_ready;
}

static bool
is_running_unready(const struct pf_master *m, unsigned slot)
{
    return is_unready(m, slot) && m->children[slot].channel < 0;
}

static void
tell_ready(struct pf_master *m, unsigned slot, const char *why)
{
    const struct pf_told told = {.ready = true, .since = m->now};

    pf_log(PREFORK_LOG_DEBUG, "worker %d is ready: %s", (int)m->pool.slots[slot].pid, why);
    pf_pool_told(&m->pool, slot, &told);
    m->store.pending = true; /* no page says it to the next master */
}

static void
heed(struct pf_master *m, const struct pf_notice *notice)
{
    for (unsigned i = 0; i < m->pool.used; i++) {
        pid_t pid = m->pool.slots[i].pid;
        if (is_unready(m, i) && (pid == notice->pid || pid == notice->group)) {
            tell_ready(m, i, "READY=1");
            return;
        }
    }
}

void
pf_master_hear_notices(struct pf_master *m)
{
    for (unsigned n = 0; n < MESSAGES_MAX; n++) {
        struct pf_notice notice;
        int r = pf_notice_receive(m->notices, &notice);
        if (r == 0 && notice.ready)
            heed(m, &notice);
        else if (r < 0 && r != -EBADMSG)
            return;
    }
}

/* When this one will have lived for long enough. */
static pf_time
due(const struct pf_master *m, unsigned slot)
{
    return pf_time_after(m->pool.slots[slot].born, m->policy.ready_delay);
}

/* Somebody waits for the first ones. */
static bool
is_urgent(const struct pf_master *m)
{
    return m->pool.trial.on || !m->announced;
}

static bool
is_time_to_look(struct pf_master *m)
{
    if (!is_urgent(m) || m->now < m->ready_look)
        return false;
    m->ready_look = m->now + PF_PLAN_LOOK;
    return true;
}

void
pf_master_look_for_ready(struct pf_master *m)
{
    unsigned looks = is_time_to_look(m) ? LOOKS_MAX : 0;

    for (unsigned i = 0; i < m->pool.used; i++) {
        if (!is_running_unready(m, i))
            continue;
        if (m->now >= due(m, i))
            tell_ready(m, i, "ready_delay is over");
        else if (looks > 0 && pf_master_has_taken(m, i))
            tell_ready(m, i, "it has a connection");
        looks -= looks > 0;
    }
}

pf_time
pf_master_ready_at(const struct pf_master *m)
{
    pf_time at = PF_NEVER;

    for (unsigned i = 0; i < m->pool.used; i++) {
        if (!is_running_unready(m, i))
            continue;
        at = pf_time_earlier(at, due(m, i));
        if (is_urgent(m))
            at = pf_time_earlier(at, m->ready_look);
    }
    return at;
}
