/* What to listen on, as a value: the grammar of `port`, and nothing of sockets.
 *
 * A port setting is one line of text, such as "8080", "localhost:http",
 * "[::1]:80/tcp", "*:80/IPv4", "/run/x.sock|unix" (prefork.conf(5) has the grammar).
 * It is read once, at start, into a struct pf_endpoint. One endpoint may become several
 * sockets (net/listener.h): a name may resolve to many addresses. */
#ifndef PF_NET_ENDPOINT_H
#define PF_NET_ENDPOINT_H

#include "base/attr.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    PF_ENDPOINT_HOST_BYTES = 256,
    PF_ENDPOINT_PORT_BYTES = 108, /* a service name, a number, or a path: sun_path's size */
};

enum pf_proto {
    PF_PROTO_TCP,
    PF_PROTO_SSL, /* TLS on a TCP connection */
    PF_PROTO_UDP,
    PF_PROTO_UNIX,      /* stream */
    PF_PROTO_UNIXDGRAM, /* datagrams */
};

static inline bool
pf_proto_is_unix(enum pf_proto proto)
{
    return proto == PF_PROTO_UNIX || proto == PF_PROTO_UNIXDGRAM;
}

static inline bool
pf_proto_is_datagram(enum pf_proto proto)
{
    return proto == PF_PROTO_UDP || proto == PF_PROTO_UNIXDGRAM;
}

/* One of the two is for streams, the other for datagrams: they have nothing in common. */
static inline bool
pf_proto_differ(enum pf_proto a, enum pf_proto b)
{
    return pf_proto_is_datagram(a) != pf_proto_is_datagram(b);
}

/* SOCK_STREAM or SOCK_DGRAM. */
int pf_proto_socket_type(enum pf_proto proto);

/* "tcp", "ssl", ...: static. */
const char *pf_proto_name(enum pf_proto proto);

/* Which IP versions. PF_IPV_ANY: one dual-stack socket where the kernel has one. */
enum {
    PF_IPV_ANY = 0,
    PF_IPV_4 = 1,
    PF_IPV_6 = 2, /* 4 and 6 together: two sockets */
};

struct pf_tls;

struct pf_endpoint {
    enum pf_proto proto;
    unsigned ipv;                      /* PF_IPV_ANY or a set of PF_IPV_4, PF_IPV_6 */
    char host[PF_ENDPOINT_HOST_BYTES]; /* "*", a name, or a literal without brackets */
    char port[PF_ENDPOINT_PORT_BYTES]; /* number, service name, or path of the socket */
    int backlog;                       /* connections the kernel may queue */
    struct pf_tls *tls;                /* of protocol ssl (net/tls.h), else NULL; owned */
    unsigned shards; /* TCP: sockets for each address; 0 and 1: one, without SO_REUSEPORT */

    /* Datagrams only. */
    unsigned recv_len; /* longest datagram that is received whole */
    int recv_flags;    /* of recv(2) */
    bool broadcast;    /* may send to broadcast addresses */

    /* Unix sockets only. */
    bool has_type; /* the setting said sock_stream or sock_dgram */
    bool has_mode; /* mode below was set; otherwise the umask decides */
    mode_t mode;
    uid_t owner; /* (uid_t)-1: as created */
    gid_t group; /* (gid_t)-1: as created */
};

/* Read one port setting. host, proto and ipv are the defaults that go with it (the
 * settings of these names at the same index), each may be NULL: "*", "tcp", "*".
 * 0, or -EINVAL with the sentence in error; *ret_endpoint is untouched on failure. The
 * fields that neither address nor protocol need (backlog, tls, those of datagrams, mode and
 * owner) are left for the caller to fill. */
PF_MUST_USE int pf_endpoint_parse(const char *port, const char *host, const char *proto,
                                  const char *ipv, struct pf_endpoint *ret_endpoint,
                                  struct pf_error *error);

#endif
