/* The addresses that an endpoint means, before there are sockets.
 *
 * A name may resolve to many addresses, "*" may be one socket or two: each of them is a
 * target that is to get a socket (net/listener.h). Internal to net/. */
#ifndef PF_NET_TARGET_H
#define PF_NET_TARGET_H

#include "base/attr.h"
#include "base/error.h"
#include "net/endpoint.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

enum {
    PF_TARGETS_MAX = 65, /* one more than there can be listeners, for that to be noticed */
};

union pf_target_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
};

struct pf_target {
    union pf_target_address address; /* its port is set when the socket is made */
    socklen_t length;
    bool v6only;
    bool dual;     /* [::] that stands for IPv4 as well */
    bool optional; /* of a name whose other addresses would do */
};

struct pf_targets {
    unsigned port; /* 0: the kernel is to choose one */
    unsigned count;
    struct pf_target table[PF_TARGETS_MAX];
};

/* Resolve port and host of an endpoint that is no unix socket. What goes beyond the table
 * is left out. 0, or a negative errno with the sentence in error. */
PF_MUST_USE int pf_targets_find(struct pf_targets *ts, const struct pf_endpoint *endpoint,
                                struct pf_error *error);

/* The wildcard of IPv4, the wildcard of IPv6. */
bool pf_target_is_any_ipv4(const union pf_target_address *a);
bool pf_target_is_any_ipv6(const union pf_target_address *a);

/* Is this a link-local address without its interface? */
bool pf_target_lacks_scope(const struct pf_target *t);

#endif
