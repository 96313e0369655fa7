/* Random worlds: settings, a program with its faults, load, and people who send signals.
 *
 * Everything comes from one seed. A world goes on until so many lives were lived or so much
 * time has passed; then it is asked to stop, perhaps twice. */
#include "sim.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

struct sim sim;

/* splitmix64 (Steele, Lea, Flood, 2014) */
uint64_t
sim_random(void)
{
    uint64_t z = sim.random += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t
sim_below(uint64_t below)
{
    return sim_random() % below;
}

pf_time
sim_span(pf_time from, pf_time to)
{
    return to <= from ? from : from + (pf_time)sim_below((uint64_t)(to - from) + 1);
}

bool
sim_chance(unsigned per_mille)
{
    return per_mille > 0 && sim_below(1000) < per_mille;
}

/* A span whose size is as likely to be small as large. */
static pf_time
any_span(pf_time least, pf_time most)
{
    pf_time span = least;

    while (span < most && sim_chance(700))
        span *= 2;
    return pf_time_earlier(sim_span(span, 2 * span), most);
}

static unsigned
any_count(unsigned least, unsigned most)
{
    unsigned most_here = least > 0 ? least : 1;

    while (most_here < most && sim_chance(700))
        most_here *= 2;
    if (most_here > most)
        most_here = most;
    return most_here <= least ? least : least + (unsigned)sim_below(most_here - least + 1);
}

/* ---- settings ---------------------------------------------------------------------------
 */

static struct pf_policy
default_policy(void)
{
    return (struct pf_policy){
        .sizing = PF_SIZING_DYNAMIC,
        .min_servers = 5,
        .min_spare_servers = 2,
        .max_spare_servers = 10,
        .max_servers = 50,
        .max_recycling = 5,
        .reload_surge = 13,
        .check_for_waiting = 10 * PF_SECOND,
        .spare_timeout = 30 * PF_SECOND,
        .min_child_ttl = 10 * PF_SECOND,
        .check_for_spawn = 30 * PF_SECOND,
        .start_timeout = 60 * PF_SECOND,
        .ready_delay = PF_SECOND,
        .request_timeout = PF_NEVER,
        .graceful_timeout = 30 * PF_SECOND,
        .stop_timeout = 3 * PF_SECOND,
        .kill_timeout = 3 * PF_SECOND,
    };
}

static void
draw_sizes(struct pf_policy *p)
{
    p->sizing = sim_chance(600)   ? PF_SIZING_DYNAMIC
                : sim_chance(500) ? PF_SIZING_STATIC
                                  : PF_SIZING_ONDEMAND;
    p->max_servers = any_count(1, sim_chance(20) ? 3000 : 120);
    p->max_spare_servers = (unsigned)sim_below(p->max_servers + 1);
    p->min_servers = 1 + (unsigned)sim_below(p->max_servers);
    p->min_spare_servers = (unsigned)sim_below(
        (p->max_spare_servers < p->min_servers ? p->max_spare_servers : p->min_servers) +
        1);
    if (p->sizing == PF_SIZING_ONDEMAND)
        p->min_servers = p->min_spare_servers = 0;
    if (p->sizing == PF_SIZING_STATIC)
        p->min_servers = p->max_servers;
    p->max_recycling = sim_chance(500) ? p->max_servers / 10 : any_count(1, 50);
    if (p->max_recycling == 0)
        p->max_recycling = 1;
    p->reload_surge = any_count(1, p->max_servers);
    p->leave_children_open = sim_chance(200);
}

static void
draw_times(struct pf_policy *p)
{
    const pf_time least = PF_SECOND / 10;

    p->check_for_waiting = any_span(least, 20 * PF_SECOND);
    p->spare_timeout = any_span(least, 60 * PF_SECOND);
    p->min_child_ttl = sim_chance(200) ? 0 : any_span(least, 20 * PF_SECOND);
    p->check_for_spawn = any_span(least, 60 * PF_SECOND);
    p->start_timeout = any_span(PF_SECOND, 60 * PF_SECOND);
    p->request_timeout = sim_chance(500) ? PF_NEVER : any_span(least, 60 * PF_SECOND);
    p->graceful_timeout = sim_chance(100) ? 0 : any_span(least, 60 * PF_SECOND);
    p->stop_timeout = sim_chance(100) ? 0 : any_span(least, 10 * PF_SECOND);
    p->kill_timeout = sim_chance(100) ? 0 : any_span(least, 10 * PF_SECOND);
}

static void
draw_recipe(struct pf_recipe *r)
{
    r->handler = sim_chance(800)   ? PF_HANDLER_CALLBACK
                 : sim_chance(400) ? PF_HANDLER_NOWAIT
                 : sim_chance(500) ? PF_HANDLER_WAIT
                                   : PF_HANDLER_MAIN_LOOP;
    r->accept_order = sim_chance(500) ? PF_ACCEPT_HOT : PF_ACCEPT_FAIR;
    r->max_requests = sim_chance(300) ? 0 : any_count(1, 1000);
    r->max_requests_jitter = (unsigned)sim_below(91);
    if (r->handler == PF_HANDLER_WAIT) {
        sim.policy.ready_delay =
            sim_chance(300) ? PF_NEVER : any_span(PF_MILLISECOND, 2 * PF_SECOND);
        sim.policy.sizing = PF_SIZING_STATIC;
        sim.policy.min_servers = sim.policy.max_servers;
    }
    if (r->handler != PF_HANDLER_WAIT && sim_chance(300)) {
        sim.policy.max_dequeue = any_count(1, 10);
        sim.policy.check_for_dequeue = any_span(PF_SECOND / 10, 60 * PF_SECOND);
    }
    if (r->handler == PF_HANDLER_MAIN_LOOP && sim.policy.sizing == PF_SIZING_ONDEMAND)
        sim.policy.sizing = PF_SIZING_STATIC;
}

/* ---- the program
 * -------------------------------------------------------------------------- */

/* No worker ever gets anywhere, each for its own reason. */
static void
doom(struct sim_program *p)
{
    static const enum sim_fate fates[] = {SIM_FATE_CRASH_AT_BIRTH, SIM_FATE_CRASH_IN_INIT,
                                          SIM_FATE_REFUSE_INIT, SIM_FATE_HANG_IN_INIT};

    memset(p->fate, 0, sizeof p->fate);
    p->doomed = true;
    p->fate[fates[sim_below(PF_COUNT(fates))]] += 500;
    p->fate[fates[sim_below(PF_COUNT(fates))]] += 500;
}

static void
draw_fates(struct sim_program *p)
{
    unsigned kinds = (unsigned)sim_below(6);

    for (unsigned i = 0; i < kinds; i++) {
        unsigned fate = 1 + (unsigned)sim_below(SIM_FATE_COUNT_OF - 1);
        p->fate[fate] = (unsigned)sim_below(sim_chance(200) ? 500 : 60);
    }
    if (!sim_chance(200))
        p->fate[SIM_FATE_HOSTILE] = 0;
    p->deaf = sim_chance(300) ? (unsigned)sim_below(300) : 0;
    p->undead = sim_chance(30) ? (unsigned)sim_below(100) : 0;
    p->fate_most = any_span(PF_SECOND / 100, 60 * PF_SECOND);
    if (sim_chance(60))
        doom(p);
}

static void
draw_program(struct sim_program *p)
{
    *p = (struct sim_program){0};
    p->init_least = any_span(100, PF_SECOND / 10);
    p->init_most = sim_chance(100) ? any_span(p->init_least, 20 * PF_SECOND)
                                   : any_span(p->init_least, PF_SECOND);
    p->request_least = any_span(50, 20 * PF_MILLISECOND);
    p->request_most =
        any_span(p->request_least, sim_chance(200) ? 20 * PF_SECOND : PF_SECOND);
    p->end_most = sim_chance(100) ? any_span(100, 2 * PF_SECOND) : 100;
    draw_fates(p);
}

/* ---- load and people
 * ------------------------------------------------------------------------- */

/* Such that a few to nearly all of the workers are busy, or more than there are. */
static pf_time
draw_arrival(void)
{
    pf_time mean = (sim.program.request_least + sim.program.request_most) / 2;
    unsigned busy = any_count(1, 2 * sim.policy.max_servers);

    if (sim.recipe.handler == PF_HANDLER_MAIN_LOOP || sim_chance(100))
        return PF_NEVER;
    return sim_chance(200) ? any_span(PF_MILLISECOND, 5 * PF_SECOND) : mean / busy + 1;
}

pf_time
sim_world_distance(void)
{
    if (sim.arrival == PF_NEVER)
        return PF_NEVER;
    return sim.program.even ? sim.arrival : sim_span(1, 2 * sim.arrival);
}

static void
arrive(void)
{
    sim.counts.connections++;
    if (sim.shut || sim.queue >= sim.backlog) {
        sim.counts.refused++;
        return;
    }
    sim.queue++;
    sim_process_wake_one();
    sim_fd_touch(sim.door);
}

void
sim_world_arrive(void)
{
    for (unsigned i = 0; i < sim.burst; i++)
        arrive();
    if (!sim.shut)
        sim_at(pf_time_after(sim.now, sim_world_distance()), SIM_EVENT_ARRIVAL, 0, 0);
}

void
sim_world_change_load(void)
{
    bool was_quiet = sim.arrival == PF_NEVER;

    sim.arrival = draw_arrival();
    sim.burst = sim_chance(100) ? any_count(1, 200) : 1;
    if (was_quiet)
        sim_at(pf_time_after(sim.now, sim_world_distance()), SIM_EVENT_ARRIVAL, 0, 0);
    sim_at(sim.now + any_span(PF_SECOND / 10, 100 * PF_SECOND), SIM_EVENT_LOAD, 0, 0);
}

/* A new program is deployed: a good one, or one that fails or hangs. */
static void
deploy(void)
{
    static const enum sim_fate fates[] = {SIM_FATE_FINE, SIM_FATE_FINE,
                                          SIM_FATE_CRASH_IN_INIT, SIM_FATE_REFUSE_INIT,
                                          SIM_FATE_HANG_IN_INIT};

    if (sim_chance(200))
        sim_reload_die();
    else if (!sim.master->pool.trial.on)
        sim_reload_ask(fates[sim_below(PF_COUNT(fates))]);
}

static void
operate(void)
{
    static const int refusals[] = {EAGAIN, ENOMEM, EMFILE};
    static const int signals[] = {SIGUSR2, SIGTTIN, SIGTTOU};

    if (sim.refuse != 0 || sim_chance(sim.trouble)) {
        sim.refuse = sim.refuse ? 0 : refusals[sim_below(PF_COUNT(refusals))];
        sim_note("-- births are %s", sim.refuse ? "refused" : "possible");
    } else if (sim_chance(100)) {
        sim.now += any_span(PF_SECOND / 10, 3600 * PF_SECOND);
        sim.starved_since = PF_NEVER;
        sim_note("-- the machine slept");
    } else if (!sim.program.doomed && sim_chance(300)) {
        deploy();
    } else {
        /* TTIN and TTOU are births and ends that somebody wants. */
        unsigned kinds = sim.program.doomed ? 1 : PF_COUNT(signals);
        unsigned count = any_count(1, 20);
        for (unsigned n = count; n > 0; n--)
            sim_signal_master(signals[sim_below(kinds)]);
        if (sim.seed % 2 == 0 && count % 2 == 0) /* in every other world */
            sim_ask_master();
    }
}

static void
follow_script(void)
{
    sim.script((unsigned)((sim.now - sim.started) / PF_SECOND));
    sim_at(sim.now + PF_SECOND, SIM_EVENT_OPERATOR, 0, 0);
}

void
sim_world_operate(void)
{
    if (sim.script) {
        follow_script();
        return;
    }
    if (sim.life >= sim.life_most && sim.stop_asked == 0)
        sim_world_stop();
    else if (sim.stop_asked == 0)
        operate();
    sim_at(sim.now + any_span(PF_MILLISECOND, sim.operator_most), SIM_EVENT_OPERATOR, 0, 0);
}

/* The second time and later it is meant more seriously. */
void
sim_world_stop(void)
{
    static const int signals[] = {SIGQUIT, SIGTERM, SIGINT};
    const struct pf_policy *p = &sim.policy;
    int signum = sim.script ? SIGTERM : signals[sim_below(PF_COUNT(signals))];
    pf_time fast = sim.now + p->stop_timeout + 2 * p->kill_timeout;
    pf_time graceful = sim.now + p->graceful_timeout + 2 * p->kill_timeout;

    if (sim.shut && sim_chance(500))
        return;
    if (sim.stop_asked == 0) {
        sim.stop_asked = sim.now;
        sim.stop_bound = signum == SIGQUIT ? graceful : fast;
    } else if (fast > sim.stop_bound) {
        sim.stop_bound = fast;
    }
    sim_signal_master(signum);
    sim_note("-- asked to stop");
    if (!sim.script && sim_chance(300))
        sim_at(sim.now + any_span(PF_MILLISECOND, 30 * PF_SECOND), SIM_EVENT_STOP, 0, 0);
}

/* ---- a run
 * -------------------------------------------------------------------------------------- */

void
sim_world_defaults(uint64_t seed)
{
    sim.seed = sim.random = seed;
    sim.now = 1000 * PF_SECOND;
    sim.life = 0;
    sim.life_most = UINT64_MAX;
    sim.policy = default_policy();
    sim.recipe = (struct pf_recipe){.name = "sim"};
    sim.program = (struct sim_program){.init_least = 1000,
                                       .init_most = 3000,
                                       .request_least = PF_MILLISECOND,
                                       .request_most = 2 * PF_MILLISECOND};
    sim.arrival = PF_NEVER;
    sim.burst = 1;
    sim.backlog = 4096;
    sim.trouble = 0;
    sim.reload_wanted = sim.takeover_wanted = false;
}

void
sim_world_live(void)
{
    struct pf_master master;
    struct pf_error error = {0};
    static const struct pf_held nothing;
    struct pf_master_setup setup = {
        .herald = {.fd = -1},
        .recipe = &sim.recipe,
        .policy = &sim.policy,
        .listeners = &sim.listeners,
        .turn = &sim.turn,
        .held = &nothing,
        .no_image = "there are no programs in this world",
        .seed = (unsigned)sim.seed,
    };
    int r;

    sim.recipe.app.cleanup_dead_child_hook = sim_watch_buried;
    sim.recipe.app.pre_fork_hook = sim_watch_pre_fork;
    sim_kernel_reset();
    sim_watch_reset();
    sim.master = &master;
    r = pf_master_open(&master, &setup, &error);
    SIM_CHECK(r == 0, "%s", error.text);
    sim_at(pf_time_after(sim.now, sim_world_distance()), SIM_EVENT_ARRIVAL, 0, 0);
    sim_at(sim.now + PF_SECOND, SIM_EVENT_OPERATOR, 0, 0);
    if (!sim.script) {
        sim_at(sim.now + PF_SECOND, SIM_EVENT_LOAD, 0, 0);
        sim_at(sim.now + any_span(60 * PF_SECOND, 4000 * PF_SECOND), SIM_EVENT_STOP, 0, 0);
    }
    pf_master_run(&master);
    sim_watch_end();
    pf_master_close(&master);
    sim.master = NULL;
}

void
sim_world_run(uint64_t seed)
{
    sim_world_defaults(seed);
    draw_sizes(&sim.policy);
    draw_times(&sim.policy);
    draw_recipe(&sim.recipe);
    draw_program(&sim.program);
    sim.arrival = draw_arrival();
    sim.life_most = any_count(50, 4000);
    sim.trouble = sim_chance(300) ? (unsigned)sim_below(300) : 0;
    sim.operator_most = any_span(PF_SECOND / 10, 200 * PF_SECOND);
    sim_world_live();
}
