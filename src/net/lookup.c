/* Reverse lookups, confirmed and bounded.
 *
 * Two questions, through the C library and so through whatever nsswitch.conf(5) says: which
 * name has this address (getnameinfo), and which addresses has this name (getaddrinfo).
 * Only if the second answer has the address again does the name count.
 *
 * What is bounded. The time the library's own DNS client waits: each question may take half
 * of the span. A name server is waited for whole seconds, at least one; each is asked once;
 * as many are asked, in their order in resolv.conf(5), as fit. So a span of 2 s asks the
 * first name server and waits a second for each answer, one of 4 s asks two, one of 12 s
 * asks three and waits longer. To keep that sum true, the question goes out over UDP only
 * (TCP has no limit of its own in there), only for the client's IP version (two at once may
 * be repeated one by one), and without the search list. An answer that does not fit into a
 * datagram may lack addresses; then the name is not confirmed, which errs on the safe side.
 *
 * What is not: other sources that nsswitch.conf(5) names before or after files and dns
 * (ldap, resolve, mdns) have limits of their own. If the first question alone used up the
 * span, the second is not asked.
 *
 * The options belong to the whole process, whose program may ask questions of its own: they
 * are put back after each lookup. Before each, the library is made to notice a changed
 * resolv.conf(5), which it does not do while its options are not those it read there.
 *
 * What always holds: a claimed name consists of letters, digits, dots, dashes and
 * underscores, and is not itself an address in any notation. So it can stand in a log line
 * and in an environment, and a client cannot be confirmed by a "name" that needs no
 * look-up.
 *
 * Deliberately absent: a cache (the name server beside us has one), more than the first
 * name of an address. */
#include "net/lookup.h"

#include "base/address.h"
#include "base/text.h"
#include "os/clock.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdbool.h>
#include <string.h>

enum {
    LEAST_SECONDS = 1, /* that the library waits for one name server */
};

#define NAME_LETTERS                                                                       \
    "abcdefghijklmnopqrstuvwxyz"                                                           \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"                                                           \
    "0123456789.-_"

/* An address with IPv4 taken out of IPv6. */
union address {
    struct sockaddr plain;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* The resolver's options that are changed for a lookup. */
struct options {
    unsigned long flags;
    int wait;
    int tries;
    int servers;
};

/* ---- the resolver's options ------------------------------------------------------ */

/* Seconds that one question may take: the library waits `wait` seconds for the first name
 * server, and for server i (wait << i) / servers, but no less than one. */
static int
sum_of_waits(int wait, int servers)
{
    int sum = wait;

    for (int i = 1; i < servers; i++) {
        int one = (wait << i) / servers;
        sum += one > LEAST_SECONDS ? one : LEAST_SECONDS;
    }
    return sum;
}

static struct options
options_now(void)
{
    return (struct options){_res.options, _res.retrans, _res.retry, _res.nscount};
}

static void
set_options(const struct options *o)
{
    _res.options = o->flags;
    _res.retrans = o->wait;
    _res.retry = o->tries;
    _res.nscount = o->servers;
}

/* What keeps one question within so many seconds. */
static struct options
bounded_options(const struct options *from, int seconds)
{
    struct options o = *from;

    o.flags &= ~(unsigned long)(RES_USEVC | RES_DEFNAMES | RES_DNSRCH | RES_ROTATE);
    o.flags |= RES_IGNTC | RES_USE_EDNS0;
    o.tries = 1;
    o.wait = LEAST_SECONDS;
    while (o.servers > 1 && sum_of_waits(o.wait, o.servers) > seconds)
        o.servers--;
    while (sum_of_waits(o.wait + 1, o.servers) <= seconds)
        o.wait++;
    return o;
}

/* Making a question touches no network, but reads resolv.conf if it is new. */
static void
refresh_resolver(void)
{
    unsigned char question[NS_PACKETSZ];

    (void)res_mkquery(ns_o_query, ".", ns_c_in, ns_t_soa, NULL, 0, NULL, question,
                      (int)sizeof question); /* only wanted for what it does before */
}

/* ---- the two questions ----------------------------------------------------------- */

static socklen_t
unmap(const struct sockaddr *address, socklen_t length, union address *ret_address)
{
    const struct sockaddr_in6 *v6 = (const void *)address;

    *ret_address = (union address){0};
    if (address->sa_family == AF_INET6 && length >= sizeof *v6 &&
        IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        ret_address->v4.sin_family = AF_INET;
        memcpy(&ret_address->v4.sin_addr, &v6->sin6_addr.s6_addr[12], 4);
        return sizeof ret_address->v4;
    }
    memcpy(ret_address, address,
           length < sizeof *ret_address ? length : sizeof *ret_address);
    return length;
}

/* A text that could be looked up, and is no address in any of the notations that
 * getaddrinfo(3) reads without looking. */
static bool
is_name(const char *text)
{
    struct in_addr ignored;

    return text[0] != '\0' && text[strspn(text, NAME_LETTERS)] == '\0' &&
           inet_aton(text, &ignored) == 0;
}

static bool
ask_name(const union address *client, socklen_t length, struct pf_lookup *l)
{
    if (getnameinfo(&client->plain, length, l->claimed, sizeof l->claimed, NULL, 0,
                    NI_NAMEREQD) == 0 &&
        is_name(l->claimed))
        return true;
    l->claimed[0] = '\0';
    return false;
}

/* Port and zone are not part of the question. */
static bool
is_same_host(const union address *a, const struct sockaddr *b)
{
    const struct sockaddr_in *v4 = (const void *)b;
    const struct sockaddr_in6 *v6 = (const void *)b;

    if (a->plain.sa_family != b->sa_family)
        return false;
    if (b->sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == v4->sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &v6->sin6_addr);
}

static enum pf_lookup_outcome
compare_addresses(const union address *client, const struct addrinfo *list,
                  struct pf_lookup *l)
{
    enum pf_lookup_outcome outcome = PF_LOOKUP_OTHER_ADDRESS;
    char host[PF_ADDRESS_TEXT_BYTES];
    struct pf_text t;

    pf_text_init(&t, l->addresses, sizeof l->addresses);
    for (const struct addrinfo *i = list; i; i = i->ai_next) {
        pf_address_host(i->ai_addr, i->ai_addrlen, host, sizeof host);
        pf_text_add(&t, "%s%s", t.length > 0 ? ", " : "", host);
        if (is_same_host(client, i->ai_addr))
            outcome = PF_LOOKUP_CONFIRMED;
    }
    return outcome;
}

static enum pf_lookup_outcome
ask_addresses(const union address *client, struct pf_lookup *l)
{
    const struct addrinfo hints = {
        .ai_family = client->plain.sa_family,
        .ai_socktype = SOCK_STREAM, /* or each address would come once per type */
    };
    enum pf_lookup_outcome outcome;
    struct addrinfo *list;

    if (getaddrinfo(l->claimed, NULL, &hints, &list) != 0)
        return PF_LOOKUP_NO_ADDRESS;
    outcome = compare_addresses(client, list, l);
    freeaddrinfo(list);
    return outcome;
}

static enum pf_lookup_outcome
ask_both(const union address *client, socklen_t length, pf_time span, struct pf_lookup *l)
{
    pf_time start = pf_clock_now();

    if (!ask_name(client, length, l))
        return PF_LOOKUP_NO_NAME;
    if (pf_clock_now() - start >= span)
        return PF_LOOKUP_OUT_OF_TIME;
    return ask_addresses(client, l);
}

void
pf_lookup(const struct sockaddr *address, socklen_t length, pf_time span,
          struct pf_lookup *ret_lookup)
{
    int seconds = (int)(span / 2 / PF_SECOND);
    union address client;
    struct options before;
    struct options bounded;

    *ret_lookup = (struct pf_lookup){0};
    length = unmap(address, length, &client);
    refresh_resolver();
    before = options_now();
    bounded = bounded_options(&before, seconds);
    set_options(&bounded);
    ret_lookup->outcome = ask_both(&client, length, span, ret_lookup);
    set_options(&before);
}

const char *
pf_lookup_name(const struct pf_lookup *lookup)
{
    return lookup->outcome == PF_LOOKUP_CONFIRMED ? lookup->claimed : "";
}

const char *
pf_lookup_outcome_text(enum pf_lookup_outcome outcome)
{
    switch (outcome) {
    case PF_LOOKUP_CONFIRMED: return "its name is confirmed";
    case PF_LOOKUP_NO_NAME: return "it has no name";
    case PF_LOOKUP_NO_ADDRESS: return "its name has no address";
    case PF_LOOKUP_OTHER_ADDRESS: return "its name has other addresses";
    case PF_LOOKUP_OUT_OF_TIME: return "its name took too long";
    }
    return "";
}
