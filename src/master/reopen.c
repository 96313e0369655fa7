/* One log for all processes, also after it was opened anew.
 *
 * Only the master can open an outlet: it alone has the directory of a file and the address
 * of the daemon (log/sink.h), and it still has them when privileges are dropped and the
 * root was changed. Workers are handed descriptors.
 *
 * First every worker is sent the new descriptor on its channel, then its mark is put on the
 * board. A worker compares marks before each line, and so a busy one switches with its
 * next line, before it is written. An idle one is woken by its channel. Whoever is born
 * later has the new sink from the master.
 *
 * A channel that is full takes no message now; it is offered again until it does. A program
 * that accepts by itself has no channel any more and keeps the standard error it was
 * started with.
 *
 * The next master (docs/notes/0010) opens outlets of its own, and all workers are handed
 * these, so that a rotation reaches those of every generation. Its marks follow the one
 * that stands on the board, or another file could have the mark of one that a worker has.
 * Who was born with another kind of log keeps that: it would not know how to write to this
 * one.
 *
 * A worker that finds a syslog daemon gone says so on the board and rings. The daemon is
 * called again at most once in a second, and only while somebody has something to say. */
#include "link/channel.h"
#include "log/log.h"
#include "log/outlet.h"
#include "master/master.h"
#include "os/clock.h"

#include <errno.h>
#include <string.h>

#define OFFER_AGAIN (100 * PF_MILLISECOND)
#define CALL_AGAIN  (500 * PF_MILLISECOND)

void
pf_master_note_outlets(struct pf_child *child)
{
    for (unsigned i = 0; i < PF_OUTLET_COUNT; i++)
        child->marks[i] = pf_outlet_mark((enum pf_outlet)i);
    child->log_kind = pf_outlet_kind(PF_OUTLET_LOG);
}

static bool
can_write(const struct pf_child *child, enum pf_outlet outlet)
{
    return outlet != PF_OUTLET_LOG || child->log_kind == pf_outlet_kind(PF_OUTLET_LOG);
}

/* True: the worker has it, or will never ask for it. */
static bool
hand_over(struct pf_child *child, enum pf_outlet outlet, uint32_t mark)
{
    enum pf_message_kind kind = (enum pf_message_kind)(PF_MESSAGE_OUTLET + outlet);
    int r;

    if (child->channel < 0 || child->marks[outlet] == mark || !can_write(child, outlet))
        return true;
    r = pf_channel_send_fd(child->channel, kind, (int)mark, pf_outlet_fd(outlet));
    if (r == 0)
        child->marks[outlet] = mark;
    return r == 0 || r == -EPIPE || r == -ECONNRESET;
}

static bool
hand_to_all(struct pf_master *m, enum pf_outlet outlet, uint32_t mark)
{
    bool all = true;

    for (unsigned i = 0; i < m->pool.used; i++) {
        if (pf_life_alive(m->pool.slots[i].life) &&
            !hand_over(&m->children[i], outlet, mark))
            all = false;
    }
    return all;
}

/* Tell everybody which sink is the right one now. */
static void
spread(struct pf_master *m, enum pf_outlet outlet)
{
    uint32_t mark = pf_outlet_mark(outlet);

    if (m->marks[outlet] == mark)
        return;
    if (hand_to_all(m, outlet, mark))
        m->marks[outlet] = mark;
    else
        m->deadline = pf_time_earlier(m->deadline, m->now + OFFER_AGAIN);
    pf_board_say_outlet(&m->board, outlet, mark);
}

static void
tell(enum pf_outlet outlet, int result)
{
    static const char *const names[] = {
        [PF_OUTLET_LOG] = "log", [PF_OUTLET_ACCESS_LOG] = "access log"};

    if (result == 0)
        pf_log(PREFORK_LOG_NOTICE, "SIGUSR1: %s opened again", names[outlet]);
    else
        pf_log(PREFORK_LOG_WARNING,
               "SIGUSR1: cannot open the %s again: %s; going on with the old one",
               names[outlet], strerror(-result));
}

/* All of them are renewed before the first is told, which may be what a rotation waits
 * for. */
void
pf_master_reopen_outlets(struct pf_master *m)
{
    int results[PF_OUTLET_COUNT];
    unsigned tried = 0;

    for (unsigned i = 0; i < PF_OUTLET_COUNT; i++) {
        results[i] = pf_outlet_renew((enum pf_outlet)i);
        if (m)
            spread(m, (enum pf_outlet)i);
    }
    for (unsigned i = 0; i < PF_OUTLET_COUNT; i++) {
        if (results[i] == -EINVAL)
            continue;
        tell((enum pf_outlet)i, results[i]);
        tried++;
    }
    if (tried == 0)
        pf_log(PREFORK_LOG_NOTICE, "SIGUSR1: there is no log file to open again");
}

/* True: the broken sink is not known to be broken any more, or was called in vain. One that
 * was replaced meanwhile is nobody's concern. */
static bool
call_again(struct pf_master *m)
{
    return m->log_broken != pf_outlet_mark(PF_OUTLET_LOG) ||
           pf_outlet_repair(PF_OUTLET_LOG, pf_clock_now()) != -EAGAIN;
}

/* While a call is due, what workers say stays on the board, where it stands once, and none
 * of them rings again. So it is looked for after the call: nobody will wake the master. */
static void
repair(struct pf_master *m)
{
    if (m->log_broken == 0)
        m->log_broken = pf_board_take_log_broken(&m->board);
    if (m->log_broken != 0 && call_again(m))
        m->log_broken = pf_board_take_log_broken(&m->board);
    if (m->log_broken != 0)
        m->deadline = pf_time_earlier(m->deadline, m->now + CALL_AGAIN);
}

void
pf_master_tend_outlets(struct pf_master *m)
{
    repair(m);
    for (unsigned i = 0; i < PF_OUTLET_COUNT; i++)
        spread(m, (enum pf_outlet)i);
}
