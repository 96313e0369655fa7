/* sim [--seed N] [--lives M] [--replay SEED] [--scenario NAME] [--verbose]
 *
 * Runs worlds from consecutive seeds until M lives were lived, or one world from one seed,
 * or one scenario. Prints what was tried; aborts on what must not be. */
#include "sim.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct options {
    uint64_t seed;
    uint64_t lives;
    const char *scenario;
    bool replay;
};

static bool
read_options(int argc, char **argv, struct options *o)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},
        {"lives", required_argument, NULL, 'l'},
        {"replay", required_argument, NULL, 'r'},
        {"scenario", required_argument, NULL, 'c'},
        {"verbose", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 's': o->seed = strtoull(optarg, NULL, 10); break;
        case 'l': o->lives = strtoull(optarg, NULL, 10); break;
        case 'c': o->scenario = optarg; break;
        case 'v': sim.verbose = true; break;
        case 'r':
            o->seed = strtoull(optarg, NULL, 10);
            o->replay = true;
            break;
        default: return false;
        }
    }
    return optind == argc;
}

static double
seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
report(uint64_t worlds)
{
    const struct sim_counts *c = &sim.counts;

    (void)printf("%llu worlds, %llu lives (%llu of them dequeue processes), %llu "
                 "connections (%llu served), %llu turns, %llu births refused, %llu reloads "
                 "(%llu rolled back), %llu masters; %.0f lives per second\n",
                 (unsigned long long)worlds, (unsigned long long)c->lives,
                 (unsigned long long)c->dequeues, (unsigned long long)c->connections,
                 (unsigned long long)c->served, (unsigned long long)c->turns,
                 (unsigned long long)c->births_refused,
                 (unsigned long long)(c->commits + c->rollbacks),
                 (unsigned long long)c->rollbacks,
                 (unsigned long long)(worlds + c->takeovers), (double)c->lives / seconds());
    for (unsigned i = 1; i < PF_REASON_COUNT_OF; i++)
        (void)printf("  %8llu  %s\n", (unsigned long long)c->by_reason[i],
                     pf_reason_text((enum pf_reason)i));
}

int
main(int argc, char **argv)
{
    struct options o = {.seed = 1, .lives = 100000};
    uint64_t worlds = 0;

    if (!read_options(argc, argv, &o)) {
        (void)fprintf(stderr, "usage: sim [--seed N] [--lives M] [--replay SEED] "
                              "[--scenario NAME] [--verbose]\n");
        return 64;
    }
    if (o.scenario) {
        if (!sim_scenario_run(o.scenario, o.seed))
            return 64;
        report(1);
        return 0;
    }
    do
        sim_world_run(o.seed + worlds++);
    while (!o.replay && sim.counts.lives < o.lives);
    report(worlds);
    sim_kernel_free();
    free(sim.graves);
    return 0;
}
