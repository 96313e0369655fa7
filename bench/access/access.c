/* What the rules of access cost a connection: the worst case, in which nothing matches.
 *
 *     access BLOCKS PATTERNS ROUNDS
 *
 * Half of the blocks and patterns are in cidr_deny and deny, half in the lists of those who
 * may come in, so that a client whom none of them names passes all of them. Prints, for a
 * client that has no name and for one whose name is asked for as well, the nanoseconds of
 * one verdict: the median of many rounds of a thousand verdicts. The look-up itself is not
 * in it. */
#include "net/access.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    VERDICTS = 1000, /* in one round */
    TEXT_BYTES = 80,
};

static const struct pf_lookup *
look_up(void *context)
{
    return context;
}

static void
add_block(struct pf_blocks *set, int i)
{
    char text[TEXT_BYTES];
    struct pf_block block;

    (void)snprintf(text, sizeof text, i % 4 == 0 ? "2001:db8:%x::/48" : "10.%d.%d.0/24",
                   i % 4 == 0 ? i : i / 256, i % 256);
    if (pf_block_parse(text, strlen(text), &block, NULL) < 0 ||
        pf_blocks_add(set, &block) < 0)
        exit(1);
}

/* Kinds that people write; some have to look far before they say no. */
static void
add_pattern(struct pf_patterns *set, int i)
{
    static const char *const kinds[] = {
        "10\\.%d\\.\\d+\\.\\d+",
        ".*\\.host%d\\.example\\.com",
        "192\\.168\\.%d\\.(1|2|3)\\d*",
        "[a-z]+-%d\\.(dyn|static)\\.example\\.(com|net)",
    };
    char text[TEXT_BYTES];

    (void)snprintf(text, sizeof text, kinds[i % 4], i);
    if (pf_patterns_add(set, text, NULL) < 0)
        exit(1);
}

static struct pf_access
make(int blocks, int patterns)
{
    struct pf_access a = {0};

    for (int i = 0; i < blocks; i++)
        add_block(i % 2 ? &a.cidr_allow : &a.cidr_deny, i / 2);
    for (int i = 0; i < patterns; i++)
        add_pattern(i % 2 ? &a.allow : &a.deny, i / 2);
    pf_blocks_seal(&a.cidr_allow);
    pf_blocks_seal(&a.cidr_deny);
    return a;
}

static double
round_ns(const struct pf_access *a, const struct pf_access_client *client)
{
    struct pf_verdict verdict;
    struct timespec begin;
    struct timespec end;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    for (int i = 0; i < VERDICTS; i++) {
        pf_access_judge(a, client, &verdict);
        if (verdict.allowed || strncmp(verdict.reason, "no rule", 7) != 0)
            exit(1); /* something matched: then it is not the worst case */
    }
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    return ((double)(end.tv_sec - begin.tv_sec) * 1e9 +
            (double)(end.tv_nsec - begin.tv_nsec)) /
           VERDICTS;
}

static int
by_size(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

static double
median_ns(const struct pf_access *a, const struct pf_access_client *client, int rounds)
{
    double *all = calloc((size_t)rounds, sizeof *all);
    double median;

    if (!all)
        exit(1);
    for (int i = 0; i < rounds; i++)
        all[i] = round_ns(a, client);
    qsort(all, (size_t)rounds, sizeof *all, by_size);
    median = all[rounds / 2];
    free(all);
    return median;
}

int
main(int argc, char **argv)
{
    struct pf_lookup lookup = {.claimed = "host-192-0-2-77.pool.isp.example.org"};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct pf_access_client client = {
        .address = (const struct sockaddr *)&v4,
        .address_bytes = sizeof v4,
        .host = "192.0.2.77",
        .look_up = look_up,
        .context = &lookup,
    };
    struct pf_access a;
    double plain;

    if (argc != 4 || inet_pton(AF_INET, client.host, &v4.sin_addr) != 1)
        return 64;
    a = make(atoi(argv[1]), atoi(argv[2]));
    plain = median_ns(&a, &client, atoi(argv[3]));
    a.names = true;
    printf("%.0f %.0f\n", plain, median_ns(&a, &client, atoi(argv[3])));
    pf_access_deinit(&a);
    return 0;
}
