/* Reloads, and masters that take over from masters.
 *
 * An exec changes nothing of the world but what the master remembers. So here the pool is
 * emptied and filled again with what is handed over (struct pf_adopted), while processes,
 * board and descriptors stay where they are. A reload is that, a trial, and its verdict; if
 * it failed either the new master knows it and goes on, or (as it is) the old one comes
 * back and is told which births were not its own.
 *
 * All of it happens between the facts of a turn and its plan, and never while a death has
 * not been told: the real master buries before it executes anything. */
#include "core/rollover.h"
#include "sim.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

void
sim_reload_ask(enum sim_fate deployed)
{
    sim.reload_wanted = true;
    sim.program.deployed = deployed;
    sim_signal_master(SIGCHLD); /* which means nothing but a turn */
}

void
sim_reload_die(void)
{
    sim.takeover_wanted = true;
    sim_signal_master(SIGCHLD);
}

static struct pf_adopted
adopted(const struct pf_slot *s)
{
    return (struct pf_adopted){
        .life = s->life,
        .kind = s->kind,
        .reason = s->reason,
        .step = s->step,
        .was_ready = s->was_ready,
        .exempt = s->exempt,
        .pid = s->pid,
        .birth = s->birth,
        .born = s->born,
        .asked = s->asked,
        .signalled = s->signalled,
    };
}

/* In any order: slots are what they are. */
static void
adopt_all(struct pf_pool *pool, const struct pf_slot *slots, unsigned used)
{
    unsigned from = used > 0 ? (unsigned)sim_below(used) : 0;

    for (unsigned n = 0; n < used; n++) {
        unsigned i = (from + n) % used;
        struct pf_adopted a = adopted(&slots[i]);
        if (slots[i].life != PF_LIFE_VACANT)
            pf_pool_adopt(pool, i, &a);
    }
}

static void
take_over(struct pf_master *m)
{
    struct pf_pool before = m->pool;
    struct pf_slot *slots = calloc(before.used + 1, sizeof *slots);

    PF_ASSERT(slots);
    memcpy(slots, before.slots, before.used * sizeof *slots);
    pf_pool_init(&m->pool, before.slots, before.capacity, (unsigned)sim.seed, m->now);
    m->pool.no_queue = before.no_queue;
    m->pool.only_requests_prove = before.only_requests_prove;
    m->pool.births = before.births;
    m->pool.requests_buried = before.requests_buried;
    adopt_all(&m->pool, slots, before.used);
    if (before.outdated > 0)
        pf_pool_outdate_range(&m->pool, before.outdated_after, before.outdated);
    free(slots);
    SIM_CHECK(pf_pool_alive(&m->pool) == pf_pool_alive(&before) &&
                  pf_pool_serving(&m->pool) == pf_pool_serving(&before) &&
                  pf_pool_dequeues(&m->pool) == pf_pool_dequeues(&before) &&
                  m->pool.rollover.alive == before.rollover.alive,
              "%u of %u workers were taken over", pf_pool_alive(&m->pool),
              pf_pool_alive(&before));
    for (unsigned i = 0; i < m->pool.used; i++) {
        if (pf_life_alive(m->pool.slots[i].life))
            pf_master_read_slot(m, i);
    }
    sim.counts.takeovers++;
}

static void
begin(struct pf_master *m)
{
    pf_time deadline = m->now + sim_span(PF_MILLISECOND, 20 * PF_SECOND);

    sim_note("-- reload: trial until %.6f", (double)deadline / PF_SECOND);
    sim.reload_wanted = false;
    take_over(m);
    pf_trial_begin(&m->pool, m->policy.reload_surge, deadline);
}

static void
roll_back(struct pf_master *m)
{
    uint64_t after = m->pool.trial.after;
    bool is_on = pf_rollover_is_on(&m->pool);

    sim_note("-- rolled back: %s", pf_reason_text(m->pool.trial.reason));
    sim.counts.rollbacks++;
    sim.program.deployed = SIM_FATE_FINE;
    sim.failed_after = after;
    sim.failed = m->pool.births;
    if (sim_chance(500)) {
        pf_trial_cancel(&m->pool);
    } else {
        take_over(m);
        pf_pool_outdate_range(&m->pool, after, m->pool.births);
    }
    SIM_CHECK(is_on || m->pool.outdated_after == after, "more than the failed ones go");
}

static void
judge(struct pf_master *m)
{
    switch (pf_trial_judge(&m->pool, &m->policy, m->now)) {
    case PF_TRIAL_UNDECIDED: break;
    case PF_TRIAL_READY:
        sim_note("-- committed");
        SIM_CHECK(sim.program.deployed == SIM_FATE_FINE, "a bad program was accepted");
        sim.counts.commits++;
        pf_trial_commit(&m->pool);
        break;
    case PF_TRIAL_FAILED: roll_back(m); break;
    }
}

void
sim_reload_tend(struct pf_master *m)
{
    const struct pf_pool *pool = &m->pool;

    if (pool->stop != PF_STOP_NONE) {
        SIM_CHECK(!pool->trial.on, "a trial while the server stops");
        return;
    }
    if (pool->count[PF_LIFE_GONE] + pool->dequeues[PF_LIFE_GONE] > 0)
        return;
    if (pool->trial.on)
        judge(m);
    else if (sim.reload_wanted)
        begin(m);
    else if (sim.takeover_wanted)
        take_over(m);
    sim.takeover_wanted = false;
}
