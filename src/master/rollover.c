/* All workers are replaced, and somebody wants to know how it ended.
 *
 * How they are replaced, one at a time and none before its successor is ready, is the
 * concern of the plan. Here is only when it is over: no worker from before is alive, and
 * one from after it is ready. New workers that do not start end it too: then those from
 * before serve on, the plan goes on trying, and who asked is told. */
#include "core/rollover.h"

#include "master/master.h"

#include <stdio.h>

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
        n += s->kind == PF_KIND_WORKER && s->birth <= m->upgrade.mark && is(s);
    }
    return n;
}

/* What the workers share is closed and opened before the first new one inherits it. */
void
pf_master_begin_rollover(struct pf_master *m)
{
    const struct prefork_app *app = &m->setup.recipe->app;

    if (app->restart_close_hook)
        app->restart_close_hook(app->data);
    pf_pool_outdate(&m->pool);
    m->upgrade.mark = m->pool.births;
    if (app->restart_open_hook)
        app->restart_open_hook(app->data);
}

enum pf_rollover_state
pf_master_rollover(struct pf_master *m, char *text, size_t bytes)
{
    const struct pf_pool *pool = &m->pool;
    unsigned old = count_old(m, is_serving);

    if (count_old(m, is_alive) == 0 && pf_master_is_ready(m)) {
        (void)snprintf(text, bytes, "all workers were replaced; there are %u now",
                       pf_pool_alive(pool));
        return PF_ROLLOVER_DONE;
    }
    if (!pf_backoff_cautious(&pool->start))
        return PF_ROLLOVER_UNDER_WAY;
    (void)snprintf(
        text, bytes,
        "workers are not replaced: new ones do not start; %u of before serve%s on", old,
        old == 1 ? "s" : "");
    return PF_ROLLOVER_FAILED;
}

bool
pf_master_is_rolling_over(const struct pf_master *m)
{
    return m->upgrade.stage == PF_UPGRADE_REPLACING;
}
