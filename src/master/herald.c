/* What the service manager is told.
 *
 * Each turn the word that fits the pool is compared with the one that was said last, and
 * said if it is another. So nothing has to remember to tell, and a word that the manager
 * did not take is said again. A reload is said to have begun even if it was over in the
 * same turn, because who asked for it waits for both words. The watchdog is answered by the
 * loop itself: a master that hangs is silent. */
#include "master/herald.h"

#include "core/rollover.h"
#include "log/log.h"
#include "master/master.h"
#include "os/fd.h"
#include "os/notify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    TEXT_BYTES = 256,
};

#define AGAIN (100 * PF_MILLISECOND) /* the manager did not take it */

void
pf_herald_open(struct pf_herald *h)
{
    pf_time watchdog;
    int fd = pf_notify_open(&watchdog);

    if (fd < 0 && fd != PF_NOTIFY_NOBODY)
        pf_log(PREFORK_LOG_WARNING,
               "environment variable NOTIFY_SOCKET: %s; the service manager will not hear "
               "of this server",
               strerror(-fd));
    *h = (struct pf_herald){.fd = fd < 0 ? -1 : fd, .watchdog = watchdog};
}

void
pf_herald_close(struct pf_herald *h)
{
    pf_fd_close(&h->fd);
}

static void
write_word(const struct pf_herald *h, enum pf_herald_word word, pf_time now,
           char text[TEXT_BYTES])
{
    switch (word) {
    case PF_HERALD_READY:
        (void)snprintf(text, TEXT_BYTES, "READY=1\n");
        if (h->forked)
            (void)snprintf(text, TEXT_BYTES, "READY=1\nMAINPID=%d\n", (int)h->main);
        break;
    case PF_HERALD_RELOADING:
        (void)snprintf(text, TEXT_BYTES, "RELOADING=1\nMONOTONIC_USEC=%lld\n",
                       (long long)now);
        break;
    case PF_HERALD_STOPPING: (void)snprintf(text, TEXT_BYTES, "STOPPING=1\n"); break;
    case PF_HERALD_NOTHING: text[0] = '\0'; break;
    }
}

void
pf_herald_say(const struct pf_herald *h, enum pf_herald_word word, pf_time now)
{
    char text[TEXT_BYTES];

    write_word(h, word, now, text);
    if (h->fd >= 0)
        (void)pf_notify_send(h->fd, text);
}

static bool
say(struct pf_master *m, const char *text)
{
    int r = pf_notify_send(m->herald.fd, text);

    if (r == -EAGAIN || r == -ENOBUFS)
        m->deadline = pf_time_earlier(m->deadline, m->now + AGAIN);
    else if (r < 0)
        m->herald.fd = -1; /* the manager is gone */
    return r == 0;
}

static enum pf_herald_word
word_for(const struct pf_master *m)
{
    if (m->pool.stop != PF_STOP_NONE)
        return PF_HERALD_STOPPING;
    if (!m->announced)
        return PF_HERALD_NOTHING;
    if (m->herald.reloading || m->upgrade.stage != PF_UPGRADE_NONE ||
        pf_rollover_pending(&m->pool) > 0)
        return PF_HERALD_RELOADING;
    return PF_HERALD_READY;
}

static void
tell_word(struct pf_master *m)
{
    struct pf_herald *h = &m->herald;
    enum pf_herald_word word = word_for(m);
    bool again = word == PF_HERALD_RELOADING && h->reloading;
    char text[TEXT_BYTES];

    if (word == h->said && !again)
        return;
    write_word(h, word, m->now, text);
    if (!say(m, text))
        return;
    h->said = word;
    if (h->reloading)
        m->deadline = m->now; /* it may be over already */
    h->reloading = false;
}

static void
tell_status(struct pf_master *m)
{
    struct pf_herald *h = &m->herald;
    unsigned workers = pf_pool_alive(&m->pool);
    char text[TEXT_BYTES];

    if (h->fd < 0 || (workers == h->workers && m->policy.max_servers == h->most))
        return;
    (void)snprintf(text, sizeof text, "STATUS=%u of at most %u workers\n", workers,
                   m->policy.max_servers);
    if (!say(m, text))
        return;
    h->workers = workers;
    h->most = m->policy.max_servers;
}

static void
answer_watchdog(struct pf_master *m)
{
    struct pf_herald *h = &m->herald;

    if (h->fd < 0 || h->watchdog == PF_NEVER)
        return;
    if (m->now >= h->next && say(m, "WATCHDOG=1\n"))
        h->next = m->now + h->watchdog / 2;
    m->deadline = pf_time_earlier(m->deadline, h->next > m->now ? h->next : m->now + AGAIN);
}

void
pf_master_herald(struct pf_master *m)
{
    if (m->herald.fd < 0)
        return;
    tell_word(m);
    tell_status(m);
    answer_watchdog(m);
}
