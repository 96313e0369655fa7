/* Is max_servers too few?
 *
 * It is if nobody is idle, nobody more may be born, and connections wait, at two looks
 * PF_FULL_LOOK apart without one in between that saw it differently: one alone may have met
 * a burst that is over in a moment. A pool of main loops without sockets has no queue that
 * could be asked. There it is enough that all are busy, but not in a static one, which may
 * well have been made to be.
 *
 * An operator wants to know each time it begins, but not each time that a load at the brink
 * crosses it. So it begins once and ends when somebody was idle for PF_FULL_CALM without a
 * break, by the low-water mark of the idle count; while it lasts it is told once in
 * PF_FULL_REPEAT.
 *
 * What it costs: at max_servers the worker that takes the last idle place wakes the master,
 * once. From then on the master looks by the clock until the calm, and no traffic wakes it.
 *
 * While a new generation is tried nobody is born for the load: that says nothing of
 * max_servers. While an old one is replaced the ceiling is higher (core/rollover.h).
 *
 * Programs that accept by themselves do not say whether they are busy, so their pool is
 * never called full. */
#include "core/full.h"

#include "core/rollover.h"

static bool
is_at_ceiling(const struct pf_pool *pool, const struct pf_policy *policy)
{
    return !pool->trial.on && pf_rollover_room(pool, policy) == 0;
}

/* Without a queue to ask, a pool that would grow if it could says enough. */
static bool
is_watchable(const struct pf_pool *pool, const struct pf_policy *policy)
{
    return !pool->no_queue || policy->sizing != PF_SIZING_STATIC;
}

bool
pf_full_is(const struct pf_pool *pool, const struct pf_policy *policy)
{
    return is_at_ceiling(pool, policy) && pool->count[PF_LIFE_IDLE] == 0 &&
           pool->count[PF_LIFE_BUSY] > 0;
}

/* Nobody was idle, if only for a moment since the last look. */
static bool
was_short(const struct pf_pool *pool, const struct pf_policy *policy)
{
    return pf_full_is(pool, policy) ||
           (is_at_ceiling(pool, policy) && pool->idle_lowest == 0);
}

static void
look(struct pf_pool *pool, const struct pf_policy *policy, pf_time now)
{
    struct pf_full *f = &pool->full;
    bool waits = pool->no_queue || pool->queued > 0;

    if (was_short(pool, policy)) {
        f->watched = true;
        f->short_at = now;
    }
    if (!pf_full_is(pool, policy) || !waits)
        f->since = PF_NEVER;
    else if (f->since == PF_NEVER && pool->count[PF_LIFE_STARTING] == 0)
        f->since = now;
}

/* Who starts may be of use in a moment; under a load that replaces workers all the time
 * there is a look at which nobody does. */
static bool
is_due(const struct pf_pool *pool, pf_time now)
{
    const struct pf_full *f = &pool->full;

    return pool->count[PF_LIFE_STARTING] == 0 &&
           now >= pf_time_after(f->since, PF_FULL_LOOK) &&
           (f->told == PF_NEVER || now >= pf_time_after(f->told, PF_FULL_REPEAT));
}

enum pf_reason
pf_full_watch(struct pf_pool *pool, const struct pf_policy *policy, pf_time now)
{
    struct pf_full *f = &pool->full;

    if (!is_watchable(pool, policy))
        return PF_REASON_NONE;
    look(pool, policy, now);
    if (is_due(pool, now)) {
        f->told = now;
        return PF_REASON_FULL;
    }
    if (f->watched && now >= pf_time_after(f->short_at, PF_FULL_CALM)) {
        bool was_told = f->told != PF_NEVER;
        f->watched = false;
        f->told = PF_NEVER;
        return was_told ? PF_REASON_ROOM : PF_REASON_NONE;
    }
    return PF_REASON_NONE;
}

pf_time
pf_full_watch_at(const struct pf_pool *pool, pf_time now)
{
    return pool->full.watched ? pf_time_after(now, PF_FULL_LOOK) : PF_NEVER;
}

unsigned
pf_full_wake_below(const struct pf_pool *pool, const struct pf_policy *policy)
{
    return is_watchable(pool, policy) && is_at_ceiling(pool, policy) && !pool->full.watched;
}
