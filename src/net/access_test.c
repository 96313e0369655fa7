/* Who may come in: each row of the documented order, how often a name is asked for, and
 * the order that is cheap against the order that is documented. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/address.h"
#include "net/access.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum {
    RANDOM_RUNS = 20000,
};

/* Settings of a case, as an operator would think of them. */
struct rules {
    const char *deny, *cidr_deny, *allow, *cidr_allow;
    bool allow_rest, names, confirmed_only, autofail;
};

/* A client, and what a look-up of it would find. */
struct visitor {
    const char *address; /* "" is a unix socket */
    const char *name;
    enum pf_lookup_outcome outcome;
};

static unsigned lookups;
static struct pf_verdict verdict;

static const struct pf_lookup *
look_up(void *context)
{
    static struct pf_lookup lookup;
    const struct visitor *v = context;

    lookups++;
    lookup = (struct pf_lookup){.outcome = v->outcome};
    strcpy(lookup.claimed, v->name ? v->name : "");
    return &lookup;
}

static void
add_pattern(struct pf_patterns *set, const char *text)
{
    struct pf_error error = {0};

    if (text && pf_patterns_add(set, text, &error) != 0)
        fail_msg("%s", error.text);
}

static void
add_block(struct pf_blocks *set, const char *text)
{
    struct pf_error error = {0};
    struct pf_block block;

    if (!text)
        return;
    if (pf_block_parse(text, strlen(text), &block, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(pf_blocks_add(set, &block), 0);
    pf_blocks_seal(set);
}

static struct pf_access
make(const struct rules *r)
{
    struct pf_access a = {
        .allow_rest = r->allow_rest,
        .names = r->names || r->confirmed_only,
        .confirmed_only = r->confirmed_only,
        .autofail = r->autofail,
    };

    add_pattern(&a.deny, r->deny);
    add_pattern(&a.allow, r->allow);
    add_block(&a.cidr_deny, r->cidr_deny);
    add_block(&a.cidr_allow, r->cidr_allow);
    return a;
}

static socklen_t
address_of(const struct visitor *v, struct sockaddr_storage *ret)
{
    struct sockaddr_in6 *v6 = (void *)ret;
    struct sockaddr_in *v4 = (void *)ret;

    *ret = (struct sockaddr_storage){0};
    ret->ss_family = AF_UNIX;
    if (v->address[0] == '\0')
        return sizeof(sa_family_t);
    ret->ss_family = AF_INET;
    if (inet_pton(AF_INET, v->address, &v4->sin_addr) == 1)
        return sizeof *v4;
    ret->ss_family = AF_INET6;
    assert_int_equal(inet_pton(AF_INET6, v->address, &v6->sin6_addr), 1);
    return sizeof *v6;
}

static bool
judge(const struct pf_access *a, const struct visitor *v)
{
    char host[PF_ADDRESS_TEXT_BYTES];
    struct sockaddr_storage address;
    socklen_t length = address_of(v, &address);
    struct visitor copy = *v;
    const struct pf_access_client client = {
        .address = (const void *)&address,
        .address_bytes = length,
        .host = host,
        .look_up = look_up,
        .context = &copy,
    };

    lookups = 0;
    pf_address_host((const void *)&address, length, host, sizeof host);
    pf_access_judge(a, &client, &verdict);
    return verdict.allowed;
}

#define HOME      "127.0.0.1"
#define ENDLESS   "([a-z]+-?)+" /* takes too long on LONG_NAME */
#define LONG_NAME "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"

static const struct {
    const char *what;
    struct rules rules;
    struct visitor visitor;
    bool allowed;
    unsigned lookups;
    const char *reason;
} cases[] = {
    {"1 unix sockets are allowed",
     {.confirmed_only = true, .deny = ".*"},
     {""},
     true,
     0,
     ""},
    {"2 a mapped address is IPv4 to patterns",
     {.allow = "127\\.0\\.0\\.1"},
     {"::ffff:127.0.0.1"},
     true,
     0,
     ""},
    {"2 a mapped address is IPv4 to blocks",
     {.cidr_deny = "127.0.0.0/8", .allow_rest = true},
     {"::ffff:127.0.0.1"},
     false,
     0,
     "cidr_deny has 127.0.0.0 to 127.255.255.255"},
    {"2 ::/0 has no IPv4 in it",
     {.cidr_allow = "::/0"},
     {HOME},
     false,
     0,
     "no rule allows"},
    {"3 double, no name",
     {.confirmed_only = true, .allow_rest = true},
     {HOME, NULL, PF_LOOKUP_NO_NAME},
     false,
     1,
     "double_reverse_lookups: it has no name"},
    {"3 double, no addresses",
     {.confirmed_only = true, .allow_rest = true},
     {HOME, "x", PF_LOOKUP_NO_ADDRESS},
     false,
     1,
     "its name has no address"},
    {"3 double, other addresses",
     {.confirmed_only = true, .allow_rest = true},
     {HOME, "x", PF_LOOKUP_OTHER_ADDRESS},
     false,
     1,
     "its name has other addresses"},
    {"3 double, too late",
     {.confirmed_only = true, .allow_rest = true},
     {HOME, "x", PF_LOOKUP_OUT_OF_TIME},
     false,
     1,
     "its name took too long"},
    {"3 double, confirmed",
     {.confirmed_only = true, .allow_rest = true},
     {HOME, "x"},
     true,
     1,
     ""},
    {"3 double stands above cidr_allow",
     {.confirmed_only = true, .cidr_allow = "127.0.0.1"},
     {HOME, NULL, PF_LOOKUP_NO_NAME},
     false,
     1,
     "it has no name"},
    {"3 autofail",
     {.confirmed_only = true, .autofail = true, .allow_rest = true},
     {HOME, "x"},
     false,
     1,
     "autofail"},
    {"4 no rules", {.allow_rest = true}, {HOME}, true, 0, ""},
    {"5 deny by address",
     {.deny = "127\\..*", .allow_rest = true},
     {HOME},
     false,
     0,
     "deny 127\\..* matches 127.0.0.1"},
    {"5 deny by name",
     {.deny = "bad\\..*", .allow_rest = true, .names = true},
     {HOME, "BAD.test"},
     false,
     1,
     "deny bad\\..* matches BAD.test"},
    {"5 no name without reverse_lookups",
     {.deny = "bad\\..*", .allow_rest = true},
     {HOME, "bad.test"},
     true,
     0,
     ""},
    {"5 a name that is not confirmed is none",
     {.deny = "bad\\..*", .allow_rest = true, .names = true},
     {HOME, "bad.test", PF_LOOKUP_OTHER_ADDRESS},
     true,
     1,
     ""},
    {"5 deny stands above allow",
     {.deny = "127\\..*", .allow = "127\\..*"},
     {HOME},
     false,
     0,
     "deny 127"},
    {"5 deny by name stands above allow by address",
     {.deny = "bad", .cidr_allow = "127.0.0.1", .names = true},
     {HOME, "bad"},
     false,
     1,
     "deny bad"},
    {"5 undecided is a denial",
     {.deny = ENDLESS, .allow_rest = true, .names = true},
     {HOME, LONG_NAME},
     false,
     1,
     "takes too long"},
    {"6 cidr_deny stands above allow",
     {.cidr_deny = "127.0.0.1", .allow = ".*"},
     {HOME},
     false,
     0,
     "cidr_deny has 127.0.0.1"},
    {"6 cidr_deny stands above cidr_allow",
     {.cidr_deny = "127.0.0.1", .cidr_allow = "127.0.0.0/8"},
     {HOME},
     false,
     0,
     "cidr_deny"},
    {"6 what cidr_deny decides asks nobody",
     {.cidr_deny = "127.0.0.1", .confirmed_only = true, .deny = "x"},
     {HOME, "x"},
     false,
     0,
     "cidr_deny"},
    {"7 allow by address", {.allow = "127\\.0\\.0\\.\\d"}, {HOME}, true, 0, ""},
    {"7 allow by address asks nobody",
     {.allow = "127.*", .names = true},
     {HOME, "x"},
     true,
     0,
     ""},
    {"7 anchored", {.allow = "127\\.0"}, {HOME}, false, 0, "no rule allows 127.0.0.1"},
    {"7 allow by name",
     {.allow = ".*\\.test", .names = true},
     {HOME, "a.test"},
     true,
     1,
     ""},
    {"7 a claimed name does not help",
     {.allow = ".*\\.test", .names = true},
     {HOME, "a.test", PF_LOOKUP_OTHER_ADDRESS},
     false,
     1,
     "no rule allows"},
    {"7 another name",
     {.allow = ".*\\.test", .names = true},
     {HOME, "a.org"},
     false,
     1,
     "no rule allows"},
    {"7 undecided is a denial",
     {.allow = ENDLESS, .names = true},
     {HOME, LONG_NAME},
     false,
     1,
     "allow " ENDLESS " takes too long"},
    {"8 cidr_allow", {.cidr_allow = "127.0.0.0/8"}, {HOME}, true, 0, ""},
    {"8 cidr_allow, IPv6", {.cidr_allow = "2001:db8::/32"}, {"2001:db8::7"}, true, 0, ""},
    {"9 the rest is denied",
     {.cidr_allow = "10.0.0.0/8"},
     {HOME},
     false,
     0,
     "no rule allows 127.0.0.1"},
    {"9 the rest is denied and asks nobody",
     {.cidr_allow = "10.0.0.0/8", .names = true, .confirmed_only = true, .deny = "x"},
     {HOME, "x"},
     false,
     0,
     "no rule allows"},
    {"9 the rest is allowed",
     {.cidr_deny = "10.0.0.0/8", .allow_rest = true},
     {HOME},
     true,
     0,
     ""},
};

static void
follows_the_documented_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        struct pf_access a = make(&cases[i].rules);
        bool allowed = judge(&a, &cases[i].visitor);
        pf_access_deinit(&a);
        if (allowed != cases[i].allowed || lookups != cases[i].lookups ||
            !strstr(verdict.reason, cases[i].reason) || allowed != !verdict.reason[0])
            fail_msg("%s: allowed %d, %u lookups, \"%s\"", cases[i].what, allowed, lookups,
                     verdict.reason);
    }
}

/* ---- against the order as it is written down --------------------------------------- */

static bool
matches(const struct pf_access *a, const struct pf_patterns *set, const struct visitor *v)
{
    const char *which;

    if (pf_patterns_match(set, v->address, &which) == PF_MATCH_YES)
        return true;
    return a->names && v->outcome == PF_LOOKUP_CONFIRMED &&
           pf_patterns_match(set, v->name, &which) == PF_MATCH_YES;
}

static bool
has(const struct pf_blocks *set, const struct visitor *v)
{
    struct sockaddr_storage address;
    struct pf_ip ip = pf_ip_of((const void *)&address, address_of(v, &address));

    return pf_blocks_find(set, &ip) != NULL;
}

static bool
judge_plainly(const struct pf_access *a, const struct visitor *v)
{
    if (a->confirmed_only && (v->outcome != PF_LOOKUP_CONFIRMED || a->autofail))
        return false;
    if (matches(a, &a->deny, v) || has(&a->cidr_deny, v))
        return false;
    return matches(a, &a->allow, v) || has(&a->cidr_allow, v) || a->allow_rest;
}

static const char *
any(const char *const *choices, size_t count)
{
    return choices[(size_t)rand() % count];
}

static void
agrees_with_the_documented_order(void **state)
{
    static const char *const patterns[] = {NULL,       NULL,     "10\\..*",
                                           "192\\..*", "a\\..*", "b\\..*"};
    static const char *const blocks[] = {NULL, NULL, "10.0.0.0/8", "192.0.2.0/24",
                                         "2001:db8::/32"};
    static const char *const addresses[] = {"10.0.0.1", "192.0.2.1", "2001:db8::1"};
    static const char *const names[] = {"a.test", "b.test", "c.test"};
    unsigned allowed = 0;

    (void)state;
    srand(3);
    for (int i = 0; i < RANDOM_RUNS; i++) {
        const struct rules r = {
            .deny = any(patterns, PF_COUNT(patterns)),
            .allow = any(patterns, PF_COUNT(patterns)),
            .cidr_deny = any(blocks, PF_COUNT(blocks)),
            .cidr_allow = any(blocks, PF_COUNT(blocks)),
            .allow_rest = rand() % 2,
            .names = rand() % 2,
            .confirmed_only = rand() % 4 == 0,
            .autofail = rand() % 8 == 0,
        };
        const struct visitor v = {
            .address = any(addresses, PF_COUNT(addresses)),
            .name = any(names, PF_COUNT(names)),
            .outcome = rand() % 2 ? PF_LOOKUP_CONFIRMED : PF_LOOKUP_OTHER_ADDRESS,
        };
        struct pf_access a = make(&r);
        bool expected = judge_plainly(&a, &v);
        a.autofail = a.autofail && a.confirmed_only;
        assert_int_equal(judge(&a, &v), expected);
        assert_true(lookups <= 1);
        allowed += expected;
        pf_access_deinit(&a);
    }
    assert_in_range(allowed, RANDOM_RUNS / 10, RANDOM_RUNS * 9 / 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_documented_order),
        cmocka_unit_test(agrees_with_the_documented_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
