/* One line of text becomes one struct pf_endpoint.
 *
 * A setting is read from its end, because that is where the optional words are:
 *
 *     localhost , 20204 | tcp / IPv4 / IPv6
 *     `- host     |       |     `- ip versions, stacked
 *                 `- port `- protocol
 *
 * Words are divided by runs of comma, bar, blank, colon and slash. The words at the end
 * that are known (an ip version, a protocol, a socket type) are taken off one by one, in
 * any order. What stays is a port, or a host and a port. What the setting does not say
 * comes from the defaults that go with it.
 *
 * Ip versions may be said in four places. The strongest wins: beside the default protocol,
 * beside the host, in the setting, in the default ip versions. A literal address has only
 * one version; to ask for the other is a contradiction, found here and not by bind(2).
 *
 * Two texts look alike and are kept apart by rule:
 *   - A setting that begins with a slash is a path and stays whole. Only words that make a
 *     unix socket of it are taken off after a slash ("/run/x/unix"), each once; so
 *     "/run/tcp" is a path.
 *   - An IPv6 address without brackets is cut at its last colon. If that leaves no address
 *     although the whole is one ("::1"), the person is asked for brackets.
 *
 * The words themselves are found in net/reading.c.
 *
 * Deliberately absent: names are not resolved, neither of hosts nor of services, and paths
 * are not looked at. That is net/opening.c and net/path.c, when privileges and time for it
 * are there. */
#include "net/endpoint.h"

#include "base/text.h"
#include "net/reading.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define PROTOCOLS "tcp, ssl, udp, unix or unixdgram"

/* The first word for each is its name. */
static const struct pf_protocol protocols[] = {
    {"tcp", PF_PROTO_TCP},
    {"ssl", PF_PROTO_SSL},
    {"udp", PF_PROTO_UDP},
    {"unix", PF_PROTO_UNIX},
    {"unixdgram", PF_PROTO_UNIXDGRAM},
    {"ssleay", PF_PROTO_SSL},
};

const char *
pf_proto_name(enum pf_proto proto)
{
    for (size_t i = 0; i < PF_COUNT(protocols); i++) {
        if (protocols[i].proto == proto)
            return protocols[i].word;
    }
    return "";
}

int
pf_proto_socket_type(enum pf_proto proto)
{
    return pf_proto_is_datagram(proto) ? SOCK_DGRAM : SOCK_STREAM;
}

static const struct pf_protocol *
find_protocol(const char *word)
{
    for (size_t i = 0; i < PF_COUNT(protocols); i++) {
        if (strcasecmp(word, protocols[i].word) == 0)
            return &protocols[i];
    }
    return NULL;
}

/* ---- the words at the end -------------------------------------------------------------
 */

static int
take_protocol(struct pf_reading *r, const struct pf_protocol *protocol)
{
    if (r->protocol)
        return pf_reading_refuse(r, "two protocols, %s and %s", protocol->word,
                                 r->protocol->word);
    r->protocol = protocol;
    return 1;
}

static int
take_type(struct pf_reading *r, const char *word)
{
    r->type = strcasecmp(word, "sock_dgram") == 0 ? PF_PROTO_UNIXDGRAM : PF_PROTO_UNIX;
    r->has_type = true;
    return 1;
}

static bool
is_type_word(const char *word)
{
    return strcasecmp(word, "sock_stream") == 0 || strcasecmp(word, "sock_dgram") == 0;
}

/* May this word come off a path after a mere slash, where it could be the path's own? */
static bool
may_leave_path(const struct pf_reading *r, const char *word)
{
    if (is_type_word(word))
        return !r->has_type;
    return !r->protocol && strncasecmp(word, "unix", 4) == 0;
}

/* Net::Server lets a protocol be a class ("80/My::Tcp"). Say that we do not, before "Tcp"
 * is taken for a word of its own. */
static int
refuse_class(struct pf_reading *r)
{
    char *word = r->rest + strlen(r->rest);

    while (word > r->rest && (word[-1] == ':' || !pf_reading_is_separator(word[-1])))
        word--;
    if (r->is_path || word == r->rest || !isalpha((unsigned char)*word) ||
        !strstr(word, "::") || pf_reading_is_ipv6(word))
        return 0;
    return pf_reading_refuse(r, "protocol %.80s is not supported: use " PROTOCOLS, word);
}

/* 1: the word was understood, 0: it was not. */
static int
take_word(struct pf_reading *r, const struct pf_suffix *x)
{
    const struct pf_protocol *protocol = find_protocol(x->word);
    int e;

    if (r->is_path && x->slash && !may_leave_path(r, x->word))
        return 0;
    if (is_type_word(x->word))
        return take_type(r, x->word);
    if (protocol)
        return take_protocol(r, protocol);
    if (!pf_reading_is_ipv(x->word))
        return 0;
    if (r->is_path)
        return pf_reading_refuse(r, "%.40s makes no sense for a path", x->word);
    e = pf_reading_add_ipv(r, x->word, &r->ipv[PF_IPV_PORT]);
    return e < 0 ? e : 1;
}

static int
take_words(struct pf_reading *r)
{
    struct pf_suffix x;
    int e;

    while (pf_reading_suffix(r->rest, &x)) {
        e = refuse_class(r);
        if (e == 0)
            e = take_word(r, &x);
        if (e <= 0)
            return e;
        *x.gap = '\0';
    }
    return 0;
}

/* ---- protocols ------------------------------------------------------------------------
 */

/* "80/MyTcp": where a number might stand, after a slash, is a word. */
static int
refuse_word(struct pf_reading *r)
{
    struct pf_suffix x;

    if (r->protocol || !pf_reading_suffix(r->rest, &x) ||
        !memchr(x.gap, '/', strlen(x.gap)))
        return 0;
    if (pf_reading_consists_of(x.word, "0123456789"))
        return 0;
    return pf_reading_refuse(r, "protocol %.80s is not known: use " PROTOCOLS, x.word);
}

static int
default_protocol(struct pf_reading *r, const char *proto)
{
    char word[PF_READING_BYTES];
    int e;

    if (!pf_reading_copy(word, sizeof word, proto ? proto : ""))
        return pf_reading_refuse(r, "the default protocol is too long");
    e = pf_reading_take_ipv(r, word, PF_IPV_PROTO);
    if (e < 0)
        return e;
    r->protocol = find_protocol(word[0] == '\0' ? "tcp" : word);
    if (!r->protocol)
        return pf_reading_refuse(r, "protocol %.80s is not known: use " PROTOCOLS, word);
    if (r->is_path && !pf_proto_is_unix(r->protocol->proto))
        r->protocol = find_protocol("unix");
    return 0;
}

static int
read_protocol(struct pf_reading *r, const char *proto)
{
    int e = 0;

    if (!r->is_path)
        e = refuse_word(r);
    if (e == 0 && !r->protocol)
        e = default_protocol(r, proto);
    if (e < 0)
        return e;
    PF_ASSERT(r->protocol);
    return 0;
}

/* ---- unix -----------------------------------------------------------------------------
 */

static int
read_path(const struct pf_reading *r, struct pf_endpoint *endpoint)
{
    size_t length = strlen(r->rest);

    if (r->rest[0] != '/')
        return pf_reading_refuse(
            r, "a unix socket needs a path that begins with /, not \"%.80s\"", r->rest);
    for (const char *s = r->rest; *s != '\0'; s++) {
        if (iscntrl((unsigned char)*s))
            return pf_reading_refuse(r, "the path contains a control character");
    }
    if (length >= sizeof endpoint->port)
        return pf_reading_refuse(
            r, "the path is too long: %zu bytes, and the system allows %zu", length,
            sizeof endpoint->port - 1);
    memcpy(endpoint->port, r->rest, length + 1);
    memcpy(endpoint->host, "*", 2);
    endpoint->ipv = PF_IPV_ANY;
    return 0;
}

/* ---- tcp ------------------------------------------------------------------------------
 */

static int
read_port(const struct pf_reading *r, const char *port, struct pf_endpoint *endpoint)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_+-";
    size_t length = strlen(port);
    uint64_t number;
    int e;

    if (*port == '\0')
        return pf_reading_refuse(r, "the port is missing");
    if (length >= sizeof endpoint->port)
        return pf_reading_refuse(r, "the port is too long");
    e = pf_text_number(port, &number);
    if (e == -ERANGE || (e == 0 && number > 65535))
        return pf_reading_refuse(r, "port %.40s is above 65535", port);
    if (e < 0 && (!isalnum((unsigned char)*port) || !pf_reading_consists_of(port, letters)))
        return pf_reading_refuse(
            r,
            "\"%.80s\" is neither a port number nor a service name (a host comes "
            "before the port, as in localhost:80)",
            port);
    memcpy(endpoint->port, port, length + 1);
    return 0;
}

/* PF_IPV_4 or PF_IPV_6 for a literal address, 0 for a name, or what is wrong with it. */
static int
check_host(const struct pf_reading *r, const char *host)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (strcmp(host, "*") == 0)
        return 0;
    if (inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_V4MAPPED(&v6))
        return pf_reading_refuse(r, "%s is an IPv4 address: write it as one", host);
    if (pf_reading_is_ipv6(host))
        return PF_IPV_6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return PF_IPV_4;
    if (strchr(host, ':'))
        return pf_reading_refuse(
            r,
            "\"%.80s\" is not a host; an IPv6 address goes in brackets, as in "
            "[::1]:80",
            host);
    if (pf_reading_consists_of(host, "0123456789."))
        return pf_reading_refuse(r, "\"%.80s\" is neither a host name nor an IPv4 address",
                                 host);
    for (const char *s = host; *s != '\0'; s++) {
        if (!isalnum((unsigned char)*s) && !strchr("_.-", *s))
            return pf_reading_refuse(r, "\"%.80s\" is not a host name: it contains \"%c\"",
                                     host, *s);
    }
    return 0;
}

/* The strongest word on ip versions, narrowed to what a literal address can be. */
static int
settle_ipv(const struct pf_reading *r, unsigned literal, struct pf_endpoint *endpoint)
{
    unsigned versions = PF_IPV_STAR;

    for (int i = 0; i < PF_IPV_SOURCES; i++) {
        if (r->ipv[i] != 0)
            versions = r->ipv[i];
    }
    if (versions & PF_IPV_STAR)
        versions = PF_IPV_ANY;
    if (literal != 0 && versions != PF_IPV_ANY && !(versions & literal))
        return pf_reading_refuse(r, "%s is an IPv%d address, but IPv%d is asked for",
                                 endpoint->host, literal == PF_IPV_4 ? 4 : 6,
                                 literal == PF_IPV_4 ? 6 : 4);
    endpoint->ipv = literal != 0 ? literal : versions;
    return 0;
}

/* host may carry ip versions and brackets; "" and "[]" mean "*". It is changed. */
static int
read_host(struct pf_reading *r, char *host, struct pf_endpoint *endpoint)
{
    int e = pf_reading_take_ipv(r, host, PF_IPV_HOST);
    size_t length = strlen(host);

    if (e < 0)
        return e;
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        host++;
    }
    if (*host == '\0')
        host = "*";
    length = strlen(host);
    if (length >= sizeof endpoint->host)
        return pf_reading_refuse(r, "the host is too long");
    e = check_host(r, host);
    if (e < 0)
        return e;
    memcpy(endpoint->host, host, length + 1);
    return settle_ipv(r, (unsigned)e, endpoint);
}

/* "[host]:port": *ret_port is its last word, the rest is cut there and keeps both
 * brackets. */
static int
split_brackets(struct pf_reading *r, char **ret_port)
{
    char *close = strchr(r->rest, ']');
    struct pf_suffix x;

    if (!close)
        return pf_reading_refuse(r, "the bracket is not closed");
    if (!pf_reading_suffix(close, &x))
        return pf_reading_refuse(r, "a port is missing after the bracket, as in [::1]:80");
    *x.gap = '\0';
    *ret_port = x.word;
    return 0;
}

/* "host:port", ":port" or "port": *ret_port is its last word, the rest is cut there. */
static int
split_plain(struct pf_reading *r, char **ret_port)
{
    bool address = pf_reading_is_ipv6(r->rest);
    char *port = r->rest + strlen(r->rest);
    char *gap;

    while (port > r->rest && !pf_reading_is_separator(port[-1]))
        port--;
    gap = port;
    while (gap > r->rest && pf_reading_is_separator(gap[-1]))
        gap--;
    if (*port == '\0' && !address)
        return pf_reading_refuse(r, "the port is missing");
    if (gap < port)
        *gap = '\0';
    if (address && !pf_reading_is_ipv6(r->rest))
        return pf_reading_refuse(
            r, "an IPv6 address and its port cannot be told apart: use brackets, "
               "as in [::1]:80");
    *ret_port = port;
    return 0;
}

static int
read_tcp(struct pf_reading *r, const char *default_host, struct pf_endpoint *endpoint)
{
    char other[PF_READING_BYTES];
    char *host = r->rest;
    char *port = NULL;
    int e;

    e = r->rest[0] == '[' ? split_brackets(r, &port) : split_plain(r, &port);
    if (e < 0)
        return e;
    PF_ASSERT(port);
    e = read_port(r, port, endpoint);
    if (e < 0)
        return e;
    if (port == r->rest || r->rest[0] == '\0') {
        if (!pf_reading_copy(other, sizeof other, default_host ? default_host : "*"))
            return pf_reading_refuse(r, "the default host is too long");
        host = other;
    }
    return read_host(r, host, endpoint);
}

/* ---- all of it ------------------------------------------------------------------------
 */

static int
read_setting(struct pf_reading *r, const char *host, const char *proto, const char *ipv,
             struct pf_endpoint *endpoint)
{
    int e = take_words(r);

    if (e == 0)
        e = read_protocol(r, proto);
    if (e < 0)
        return e;
    endpoint->proto = r->protocol->proto;
    endpoint->has_type = r->has_type;
    if (endpoint->proto == PF_PROTO_UNIX && r->has_type)
        endpoint->proto = r->type;
    if (pf_proto_is_unix(endpoint->proto))
        return read_path(r, endpoint);
    if (r->is_path)
        return pf_reading_refuse(r, "a path needs the protocol unix or unixdgram, not %s",
                                 r->protocol->word);
    e = pf_reading_add_ipv(r, ipv ? ipv : "*", &r->ipv[PF_IPV_DEFAULT]);
    return e < 0 ? e : read_tcp(r, host, endpoint);
}

int
pf_endpoint_parse(const char *port, const char *host, const char *proto, const char *ipv,
                  struct pf_endpoint *ret_endpoint, struct pf_error *error)
{
    struct pf_reading r = {.error = error};
    struct pf_endpoint endpoint = {.ipv = PF_IPV_ANY};
    int e;

    e = pf_reading_start(&r, port ? port : "");
    if (e == 0)
        e = read_setting(&r, host, proto, ipv, &endpoint);
    if (e < 0)
        return e;
    ret_endpoint->proto = endpoint.proto;
    ret_endpoint->ipv = endpoint.ipv;
    ret_endpoint->has_type = endpoint.has_type;
    memcpy(ret_endpoint->host, endpoint.host, sizeof endpoint.host);
    memcpy(ret_endpoint->port, endpoint.port, sizeof endpoint.port);
    return 0;
}
