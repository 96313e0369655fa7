/* What workers say on their channels.
 *
 * Three times it is listened to: where the end of file means something by itself (a program
 * that accepts runs), when a worker has died (its last words), and when a
 * worker's page says that it spoke. Channels are not watched for that: every end of a
 * worker would wake the master twice.
 *
 * All of it is gossip. Nonsense is dropped. Of one worker so many messages are taken in a
 * turn, and so many of all, beginning with another worker each time: who talks without end
 * costs turns, but starves neither signals and ends, which come first in each turn, nor the
 * words of others. */
#include "link/channel.h"
#include "log/log.h"
#include "master/master.h"
#include "os/fd.h"

#include <errno.h>

enum {
    OF_ONE = 16, /* messages of one worker in a turn */
    OF_ALL = 64, /* of all of them */
    LAST = 1024, /* of a dead one: more than a channel holds */
};

enum heard {
    HEARD_ALL,    /* nothing is left for now */
    HEARD_SOME,   /* as many as were allowed */
    HEARD_ENOUGH, /* parent_read_hook wants the rest to wait */
};

/* The channel's end of file. A program that accepts by itself closed it by its exec, and
 * may become ready from here on. Any other worker is about to end. */
static void
lose_channel(struct pf_master *m, unsigned slot)
{
    struct pf_child *child = &m->children[slot];

    pf_wait_remove(&m->wait, child->channel);
    pf_fd_close(&child->channel);
}

/* True: no more in this turn. */
static bool
take_line(struct pf_master *m, unsigned slot, const char *line)
{
    const struct prefork_app *app = &m->setup.recipe->app;
    pid_t pid = m->pool.slots[slot].pid;

    if (app->parent_read_hook)
        return app->parent_read_hook(pid, line, app->data);
    pf_log(PREFORK_LOG_DEBUG, "no parent_read_hook for a line of process %d: %s", (int)pid,
           line);
    return false;
}

/* Said once by each worker that has cause to; more often, it is gossip. */
static void
take_failure(struct pf_master *m, unsigned slot, const char *program, int errnum)
{
    if (m->pool.slots[slot].failed)
        return;
    pf_master_tell_failure(m, slot, program, errnum);
    pf_pool_failed(&m->pool, slot);
}

/* True: no more in this turn. */
static bool
take_message(struct pf_master *m, unsigned slot, const struct pf_message *message,
             const char *text)
{
    switch (message->kind) {
    case PF_MESSAGE_EXEC_FAILED:
        take_failure(m, slot, m->setup.recipe->program, message->errnum);
        break;
    case PF_MESSAGE_INIT_FAILED: take_failure(m, slot, NULL, message->errnum); break;
    case PF_MESSAGE_STOP: pf_master_stop(m, m->pool.slots[slot].pid, text); break;
    case PF_MESSAGE_LINE: return take_line(m, slot, text);
    default: break; /* not a worker's to say */
    }
    return false;
}

/* Up to *left messages of one worker. */
static enum heard
hear(struct pf_master *m, unsigned slot, unsigned *left)
{
    char text[PF_CHANNEL_TEXT_BYTES];
    struct pf_message message;

    for (; *left > 0; --*left) {
        int r;
        if (m->children[slot].channel < 0)
            return HEARD_ALL;
        r = pf_channel_receive_text(m->children[slot].channel, &message, text);
        if (r == -EPIPE)
            lose_channel(m, slot);
        else if (r == 0 && take_message(m, slot, &message, text))
            return HEARD_ENOUGH;
        else if (r < 0 && r != -EBADMSG)
            return HEARD_ALL;
    }
    return HEARD_SOME;
}

static void
heed_page(struct pf_master *m, unsigned slot)
{
    const struct pf_board_slot *s = pf_board_slot(&m->board, slot);

    if (s && atomic_load(&s->wants_stop) == PF_BOARD_STOP)
        pf_master_stop(m, m->pool.slots[slot].pid, "");
}

void
pf_master_hear(struct pf_master *m, unsigned slot)
{
    unsigned left = OF_ONE;

    (void)hear(m, slot, &left); /* what is left is reported again */
}

void
pf_master_hear_last(struct pf_master *m, unsigned slot)
{
    unsigned left = LAST;

    while (hear(m, slot, &left) == HEARD_ENOUGH)
        left--; /* there is no later turn for it */
    heed_page(m, slot);
}

/* By its page it spoke since it was heard last, or there was more. */
static bool
speaks(struct pf_master *m, unsigned slot)
{
    const struct pf_board_slot *s = pf_board_slot(&m->board, slot);
    struct pf_child *child = &m->children[slot];
    uint32_t words;

    if (!s || !pf_life_alive(m->pool.slots[slot].life))
        return false;
    words = atomic_load(&s->words);
    if (words == child->words)
        return child->speaks;
    child->words = words;
    heed_page(m, slot);
    return true;
}

void
pf_master_hear_all(struct pf_master *m)
{
    unsigned left = OF_ALL;

    m->unheard = false;
    for (unsigned n = 0; n < m->pool.used; n++) {
        unsigned slot = (m->hear_from + n) % m->pool.used;
        unsigned here = left < OF_ONE ? left : OF_ONE;
        enum heard heard;
        if (!speaks(m, slot))
            continue;
        left -= here;
        heard = hear(m, slot, &here);
        left += here;
        m->children[slot].speaks = heard != HEARD_ALL;
        m->unheard |= heard != HEARD_ALL;
        if (left == 0 || heard == HEARD_ENOUGH) {
            m->hear_from = slot + 1;
            m->unheard = true;
            return;
        }
    }
}
