/* From an endpoint to addresses.
 *
 *     "*", any version     one dual-stack [::]; 0.0.0.0 where there is no IPv6
 *     "*", 4 and 6         [::] for IPv6 only, then 0.0.0.0
 *     a name               every address it resolves to, IPv6 first if versions are named
 *
 * The port is looked up apart from the host, so that the sentence knows which of the two
 * is wrong.
 *
 * Deliberately absent: sockets. What the machine lacks is found out by who makes them. */
#include "net/target.h"

#include "base/address.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <netdb.h>
#include <string.h>

/* One call of pf_targets_find(). */
struct search {
    struct pf_targets *ts;
    const struct pf_endpoint *endpoint;
    struct pf_error *error;
};

static bool
has_target(const struct search *s, const struct sockaddr *address, socklen_t length)
{
    for (unsigned i = 0; i < s->ts->count; i++) {
        const struct pf_target *t = &s->ts->table[i];
        if (pf_address_same(&t->address.any, t->length, address, length))
            return true;
    }
    return false;
}

/* A name may resolve to the same address more than once. */
static struct pf_target *
add_target(struct search *s, const struct sockaddr *address, socklen_t length)
{
    struct pf_target *t = &s->ts->table[s->ts->count];

    if (s->ts->count == PF_TARGETS_MAX || has_target(s, address, length))
        return NULL;
    memset(t, 0, sizeof *t);
    memcpy(&t->address, address, length);
    t->length = length;
    t->v6only = address->sa_family == AF_INET6;
    s->ts->count++;
    return t;
}

static void
add_wildcards(struct search *s)
{
    const struct sockaddr_in v4 = {.sin_family = AF_INET};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct pf_target *t;

    if (s->endpoint->ipv != PF_IPV_4) {
        t = add_target(s, (const void *)&v6, sizeof v6);
        t->dual = s->endpoint->ipv == PF_IPV_ANY;
        t->v6only = !t->dual;
    }
    if (s->endpoint->ipv & PF_IPV_4)
        (void)add_target(s, (const void *)&v4, sizeof v4); /* it is the first IPv4 */
}

static int
refuse_host(const struct search *s, const char *version, int code, int errnum)
{
    const char *host = s->endpoint->host;

    if (code == EAI_SYSTEM)
        return pf_error_set(s->error, PREFORK_EXIT_SYSTEM, errnum,
                            "host \"%s\" cannot be looked up: %s", host, strerror(errnum));
    if (code == EAI_AGAIN || code == EAI_MEMORY)
        return pf_error_set(
            s->error, PREFORK_EXIT_SYSTEM, code == EAI_AGAIN ? EAGAIN : ENOMEM,
            "host \"%s\" cannot be looked up now: %s", host, gai_strerror(code));
    return pf_error_set(s->error, PREFORK_EXIT_CONFIG, ENOENT,
                        "host \"%s\" does not resolve to an %s address: %s", host, version,
                        gai_strerror(code));
}

static int
add_host(struct search *s, int family)
{
    const char *version = family == AF_INET ? "IPv4" : family == AF_INET6 ? "IPv6" : "IP";
    const struct addrinfo hints = {.ai_family = family,
                                   .ai_socktype = pf_proto_socket_type(s->endpoint->proto)};
    struct addrinfo *list;
    int code = getaddrinfo(s->endpoint->host, NULL, &hints, &list);

    if (code != 0)
        return refuse_host(s, version, code, errno);
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        struct pf_target *t = add_target(s, a->ai_addr, a->ai_addrlen);
        if (t)
            t->optional = family == AF_UNSPEC;
    }
    freeaddrinfo(list);
    return 0;
}

/* The number behind a service name. Asked for apart from the host, so that the sentence
 * knows which of the two is wrong. */
static int
find_port(struct search *s)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE,
                                   .ai_family = AF_INET,
                                   .ai_socktype = pf_proto_socket_type(s->endpoint->proto)};
    struct addrinfo *list;
    int code = getaddrinfo(NULL, s->endpoint->port, &hints, &list);

    if (code != 0)
        return pf_error_set(s->error, PREFORK_EXIT_CONFIG, ENOENT,
                            "port \"%s\": no such service in /etc/services (a host comes "
                            "before the port, as in localhost:80)",
                            s->endpoint->port);
    s->ts->port = pf_address_port(list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    return 0;
}

static int
find_hosts(struct search *s)
{
    unsigned ipv = s->endpoint->ipv;
    int e = 0;

    if (strcmp(s->endpoint->host, "*") == 0) {
        add_wildcards(s);
        return 0;
    }
    if (ipv == PF_IPV_ANY)
        return add_host(s, AF_UNSPEC);
    if (ipv & PF_IPV_6)
        e = add_host(s, AF_INET6);
    if (e == 0 && (ipv & PF_IPV_4))
        e = add_host(s, AF_INET);
    return e;
}

int
pf_targets_find(struct pf_targets *ts, const struct pf_endpoint *endpoint,
                struct pf_error *error)
{
    struct search s = {.ts = ts, .endpoint = endpoint, .error = error};
    int e;

    *ts = (struct pf_targets){0};
    e = find_port(&s);
    return e < 0 ? e : find_hosts(&s);
}

bool
pf_target_is_any_ipv4(const union pf_target_address *a)
{
    return a->any.sa_family == AF_INET && a->v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

bool
pf_target_is_any_ipv6(const union pf_target_address *a)
{
    return a->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

bool
pf_target_lacks_scope(const struct pf_target *t)
{
    return t->address.any.sa_family == AF_INET6 && t->address.v6.sin6_scope_id == 0 &&
           IN6_IS_ADDR_LINKLOCAL(&t->address.v6.sin6_addr);
}
