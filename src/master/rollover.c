/* All workers are replaced because somebody asked for it, who wants to know how it ended.
 *
 * Each request has a number. One that comes while another is under way waits for it,
 * because what it is about may have changed after that one began; all that come meanwhile
 * are the same number.
 *
 * How workers are replaced, a few at a time and none before its successor can be born, is
 * the concern of the plan (core/recycle.h). Here is only when it is over: no worker from
 * before is alive, and one from after it is ready. New workers that do not start end it
 * too: then those from before serve on, the plan goes on trying, and who asked is told. The
 * next one does not wait for old workers that have been asked to leave and take their time:
 * the end of both is told then.
 *
 * A stop of the server ends all of this; clients hear of it in control.c. */
#include "log/log.h"
#include "master/master.h"

#include <errno.h>
#include <stdio.h>

enum {
    TEXT_BYTES = 160,
};

static bool
is_alive(const struct pf_slot *s)
{
    return pf_life_alive(s->life);
}

static bool
is_serving(const struct pf_slot *s)
{
    return pf_life_serving(s->life);
}

/* Workers that were there before it began and of which this is still true. */
static unsigned
count_old(const struct pf_master *m, bool (*is)(const struct pf_slot *s))
{
    unsigned n = 0;

    for (unsigned i = 0; i < m->pool.used; i++) {
        const struct pf_slot *s = &m->pool.slots[i];
        n += s->kind == PF_KIND_WORKER && s->birth <= m->rollover.mark && is(s);
    }
    return n;
}

static void
begin(struct pf_master *m, uint64_t number, const char *who)
{
    pf_master_restart(m, who);
    m->rollover.running = number;
    m->rollover.mark = m->pool.births;
}

static void
finish(struct pf_master *m, bool ok, const char *text)
{
    uint64_t number = m->rollover.running;

    m->rollover.running = 0;
    pf_log(ok ? PREFORK_LOG_NOTICE : PREFORK_LOG_WARNING, "%s", text);
    pf_control_tell(m, number, ok, text);
}

static void
look(struct pf_master *m)
{
    const struct pf_pool *pool = &m->pool;
    unsigned old = count_old(m, is_serving);
    char text[TEXT_BYTES];

    if (count_old(m, is_alive) == 0 && pf_master_is_ready(m)) {
        (void)snprintf(text, sizeof text, "all workers were replaced; there are %u now",
                       pf_pool_alive(pool));
        finish(m, true, text);
    } else if (pf_backoff_cautious(&pool->start)) {
        (void)snprintf(text, sizeof text,
                       "workers are not replaced: new ones do not start; %u of before "
                       "serve%s on",
                       old, old == 1 ? "s" : "");
        finish(m, false, text);
    }
}

/* Nobody is left who serves and is to be asked to leave. */
static bool
may_begin(const struct pf_master *m)
{
    return m->rollover.running == 0 || count_old(m, is_serving) == 0;
}

void
pf_master_tend_rollover(struct pf_master *m)
{
    struct pf_rollover *r = &m->rollover;
    uint64_t next = r->next;

    if (m->pool.stop != PF_STOP_NONE)
        r->running = r->next = 0;
    if (r->running > 0)
        look(m);
    if (r->next == 0 || !may_begin(m))
        return;
    r->next = 0;
    begin(m, next, r->who);
    m->deadline = m->now;
}

bool
pf_master_awaits_ready(const struct pf_master *m)
{
    return m->rollover.running > 0;
}

int
pf_master_ask_restart(struct pf_master *m, const char *who, uint64_t *ret_number)
{
    struct pf_rollover *r = &m->rollover;

    if (m->pool.stop != PF_STOP_NONE)
        return -ESHUTDOWN;
    if (r->running == 0) {
        begin(m, ++r->last, who);
    } else if (r->next == 0) {
        r->next = ++r->last;
        (void)snprintf(r->who, sizeof r->who, "%s", who);
        pf_log(PREFORK_LOG_INFO, "%s: waiting for the end of the one under way", who);
    }
    *ret_number = r->last;
    return 0;
}

/* There is nothing else that could be loaded again but what workers do at their birth. */
int
pf_master_ask_reload(struct pf_master *m, const char *who, uint64_t *ret_number)
{
    return pf_master_ask_restart(m, who, ret_number);
}
