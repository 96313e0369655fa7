/* Runs with a purpose: what a random world shows too rarely.
 *
 * A scenario is a setting and a script that is called once per second of its clock. */
#include "core/size.h"
#include "sim.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/* Counts at the beginning of the stretch that is measured. */
static struct sim_counts before;

static uint64_t
births(void)
{
    return sim.counts.lives - before.lives;
}

/* ---- steady load
 * -------------------------------------------------------------------------- */

enum {
    WARM_UP = 120,
    MEASURED = 600,
};

static void
measure_steady(unsigned second)
{
    const struct sim_counts *c = &sim.counts;
    uint64_t connections = c->connections - before.connections;

    if (second == WARM_UP)
        before = *c;
    if (second != WARM_UP + MEASURED)
        return;
    SIM_CHECK(births() == 0, "%llu births under a steady load",
              (unsigned long long)births());
    SIM_CHECK(c->retired == before.retired, "workers retire under a steady load");
    SIM_CHECK((c->turns - before.turns) * 50000 <= 50 * connections,
              "%llu turns for %llu connections",
              (unsigned long long)(c->turns - before.turns),
              (unsigned long long)connections);
    sim_world_stop();
}

static void
steady(void)
{
    sim.arrival = PF_MILLISECOND;
    sim.program.request_least = sim.program.request_most = 5 * PF_MILLISECOND + 300;
    sim.program.even = true;
    sim.script = measure_steady;
}

/* All of one second at its beginning. */
static void
steady_bursts(void)
{
    steady();
    sim.arrival = PF_SECOND / 10;
    sim.burst = 30;
    sim.program.request_least = sim.program.request_most = 20 * PF_MILLISECOND;
}

/* Chance arrivals have rare peaks, for each of which a worker may come and go. */
static void
measure_random(unsigned second)
{
    uint64_t connections = sim.counts.connections - before.connections;

    if (second == WARM_UP)
        before = sim.counts;
    if (second != WARM_UP + MEASURED)
        return;
    SIM_CHECK(births() <= MEASURED / 30, "%llu births in %u seconds under a random load",
              (unsigned long long)births(), MEASURED);
    SIM_CHECK((sim.counts.turns - before.turns) * 50000 <= 50 * connections,
              "%llu turns for %llu connections",
              (unsigned long long)(sim.counts.turns - before.turns),
              (unsigned long long)connections);
    sim_world_stop();
}

static void
random_load(void)
{
    sim.arrival = PF_MILLISECOND;
    sim.program.request_least = PF_MILLISECOND;
    sim.program.request_most = 8 * PF_MILLISECOND;
    sim.script = measure_random;
}

/* ---- large pools
 * ---------------------------------------------------------------------------- */

static void
live_large(unsigned second)
{
    const struct pf_master *m = sim.master;

    if (second == 20) {
        SIM_CHECK(pf_pool_serving(&m->pool) == 10000, "%u of 10000 serve",
                  pf_pool_serving(&m->pool));
        sim_signal_master(SIGHUP);
    }
    if (second == 60) {
        for (unsigned i = 0; i < m->pool.used; i++)
            SIM_CHECK(m->pool.slots[i].life == PF_LIFE_VACANT ||
                          m->pool.slots[i].birth > 10000,
                      "slot %u is from before the restart", i);
        sim_world_stop();
    }
}

static void
ten_thousand(void)
{
    sim.policy.sizing = PF_SIZING_STATIC;
    sim.policy.min_servers = sim.policy.max_servers = 10000;
    sim.policy.max_recycling = 1000;
    sim.arrival = PF_MILLISECOND;
    sim.script = live_large;
}

/* From a hundred to ten thousand by one burst, and back. */
static void
live_tide(unsigned second)
{
    const struct pf_master *m = sim.master;

    if (second == 5) {
        sim.burst = 9000;
        sim.arrival = PF_SECOND;
        sim_world_arrive();
    }
    if (second == 30) {
        SIM_CHECK(pf_pool_serving(&m->pool) >= 9000, "%u serve 9000 clients",
                  pf_pool_serving(&m->pool));
        sim.burst = 1;
    }
    if (second == 300) {
        SIM_CHECK(pf_pool_serving(&m->pool) <= 110, "%u are left in the quiet",
                  pf_pool_serving(&m->pool));
        sim_world_stop();
    }
}

static void
tide(void)
{
    sim.policy.min_servers = 100;
    sim.policy.max_servers = 10000;
    sim.policy.max_recycling = 1000;
    sim.program.request_least = sim.program.request_most = 900 * PF_MILLISECOND;
    sim.program.even = true;
    sim.backlog = 65535;
    sim.arrival = PF_SECOND;
    sim.script = live_tide;
}

/* ---- a load above max_servers
 * --------------------------------------------------------------------- */

/* Twice as many come as can be served, for a minute and a half; then few; then again. */
static void
live_full(unsigned second)
{
    const uint64_t *told = sim.counts.by_reason;

    if (second == 90 || second == 190) {
        SIM_CHECK(told[PF_REASON_FULL] == (second == 90 ? 2u : 3u),
                  "told %llu times to be full", (unsigned long long)told[PF_REASON_FULL]);
        sim.arrival = PF_SECOND;
    }
    if (second == 170) {
        SIM_CHECK(told[PF_REASON_ROOM] == 1, "told %llu times to have room",
                  (unsigned long long)told[PF_REASON_ROOM]);
        sim.arrival = 5 * PF_MILLISECOND;
    }
    if (second == 190)
        sim_world_stop();
}

static void
full(void)
{
    sim.policy.max_servers = 10;
    sim.policy.max_spare_servers = 4;
    sim.program.request_least = sim.program.request_most = 100 * PF_MILLISECOND;
    sim.program.even = true;
    sim.arrival = 5 * PF_MILLISECOND;
    sim.backlog = 64;
    sim.script = live_full;
}

/* The one worker is busy half of the time and nobody waits: the last idle place is taken
 * with each connection. */
static void
live_brink(unsigned second)
{
    if (second == 10)
        before = sim.counts;
    if (second != 310)
        return;
    SIM_CHECK(sim.counts.by_reason[PF_REASON_FULL] == 0, "told to be full");
    SIM_CHECK(sim.counts.turns - before.turns <= 301, "%llu turns in 300 seconds",
              (unsigned long long)(sim.counts.turns - before.turns));
    sim_world_stop();
}

static void
brink(void)
{
    sim.policy.sizing = PF_SIZING_STATIC;
    sim.policy.min_servers = sim.policy.max_servers = 1;
    sim.program.request_least = sim.program.request_most = 5 * PF_MILLISECOND;
    sim.program.even = true;
    sim.arrival = 10 * PF_MILLISECOND;
    sim.script = live_brink;
}

/* ---- a program that cannot start
 * -------------------------------------------------------------- */

static void
live_doomed(unsigned second)
{
    if (second == 3600) {
        SIM_CHECK(sim.life < 120, "%llu births in an hour of a program that cannot start",
                  (unsigned long long)sim.life);
        sim_world_stop();
    }
}

static void
doomed(void)
{
    sim.program.doomed = true;
    sim.program.fate[SIM_FATE_REFUSE_INIT] = 1000;
    sim.arrival = PF_SECOND;
    sim.script = live_doomed;
}

/* ---- generations
 * ------------------------------------------------------------------------------------ */

/* All are busy, some for ever. */
static void
live_rolling(unsigned second)
{
    const struct pf_pool *pool = &sim.master->pool;

    if (second == 20)
        sim_signal_master(SIGUSR2);
    if (second > 20)
        SIM_CHECK(pf_pool_alive(pool) <= 21, "%u of 20 workers", pf_pool_alive(pool));
    if (second != 500)
        return;
    SIM_CHECK(sim.counts.by_reason[PF_REASON_SLOW_LEAVE] > 0, "nobody was slow");
    SIM_CHECK(pool->rollover.alive == 0, "%u are from before the restart",
              pool->rollover.alive);
    sim_world_stop();
}

static void
rolling(void)
{
    sim.policy.sizing = PF_SIZING_STATIC;
    sim.policy.min_servers = sim.policy.max_servers = 20;
    sim.program.request_least = sim.program.request_most = 5 * PF_SECOND;
    sim.program.fate[SIM_FATE_HANG_IN_REQUEST] = 100;
    sim.arrival = 200 * PF_MILLISECOND;
    sim.script = live_rolling;
}

static void
check_reload(uint64_t commits, uint64_t rollbacks)
{
    const struct pf_pool *pool = &sim.master->pool;

    SIM_CHECK(sim.counts.commits == commits && sim.counts.rollbacks == rollbacks,
              "%llu reloads, %llu rolled back", (unsigned long long)sim.counts.commits,
              (unsigned long long)sim.counts.rollbacks);
    SIM_CHECK(!pool->trial.on && pool->rollover.alive == 0, "a reload is not over");
    for (unsigned i = 0; i < pool->used; i++)
        SIM_CHECK(pool->slots[i].birth <= sim.failed_after ||
                      pool->slots[i].birth > sim.failed,
                  "slot %u is of a generation that failed", i);
}

/* A good program, one that crashes, one that hangs, and one that cannot be tried because
 * nobody can be born. */
static void
live_reload(unsigned second)
{
    static const enum sim_fate deployed[] = {SIM_FATE_FINE, SIM_FATE_CRASH_IN_INIT,
                                             SIM_FATE_HANG_IN_INIT, SIM_FATE_FINE};
    unsigned turn = second / 100;

    if (second % 100 == 10 && turn < PF_COUNT(deployed)) {
        sim.refuse = turn == 3 ? EAGAIN : 0;
        sim_reload_ask(deployed[turn]);
    }
    if (second % 100 == 50)
        sim.refuse = 0;
    if (second % 100 == 90)
        check_reload(1, turn);
    if (second == 390)
        sim_world_stop();
}

static void
reload(void)
{
    sim.policy.min_servers = 30;
    sim.policy.max_servers = 32;
    sim.program.request_least = PF_MILLISECOND;
    sim.program.request_most = 300 * PF_MILLISECOND;
    sim.arrival = 10 * PF_MILLISECOND;
    sim.script = live_reload;
}

/* ---- the list
 * ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*set)(void);
} scenarios[] = {
    {"steady", steady},
    {"steady-bursts", steady_bursts},
    {"random-load", random_load},
    {"ten-thousand", ten_thousand},
    {"tide", tide},
    {"full", full},
    {"brink", brink},
    {"doomed", doomed},
    {"rolling", rolling},
    {"reload", reload},
};

bool
sim_scenario_run(const char *name, uint64_t seed)
{
    for (size_t i = 0; i < PF_COUNT(scenarios); i++) {
        if (strcmp(name, scenarios[i].name) != 0)
            continue;
        sim_world_defaults(seed);
        scenarios[i].set();
        sim_world_live();
        return true;
    }
    return false;
}
