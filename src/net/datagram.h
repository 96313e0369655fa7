/* One datagram: received with the address it was sent to, and answered from there.
 *
 * Where it came from belongs to the connection that it is served as (net/connection.h). */
#ifndef PF_NET_DATAGRAM_H
#define PF_NET_DATAGRAM_H

#include "base/attr.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

struct pf_datagram {
    char *bytes; /* room for the longest one; borrowed */
    size_t size; /* of what was received */
    size_t cut;  /* bytes that did not fit and are lost */

    /* The address of this machine that it was sent to, if the socket has several.
     * to_family says which member counts; AF_UNSPEC: the socket has but one. */
    sa_family_t to_family;
    struct in_pktinfo to_v4;
    struct in6_pktinfo to_v6;
};

/* Let a UDP socket that is bound to a wildcard tell to which address a datagram was sent;
 * no other needs to. 0 or a negative errno. */
PF_MUST_USE int pf_datagram_prepare(int fd);

/* What to receive, and where from. */
struct pf_datagram_order {
    int fd;
    bool tells;  /* the socket tells to which address a datagram was sent */
    size_t room; /* all that there is at bytes, or less */
    int flags;   /* of recv(2) */
    bool wait;   /* for as long as pf_datagram_be_patient() says */
};

/* How long receiving may wait, in milliseconds; a system call interrupted by a signal
 * handler waits less. A property of the socket, which other processes may share. */
enum {
    PF_DATAGRAM_PATIENCE = 4,
};

/* Let receiving be patient, for which the socket has to block otherwise. 0 or a negative
 * errno. */
PF_MUST_USE int pf_datagram_be_patient(int fd);

/* Take one datagram: 0 with *d, the sender's address and its length filled (0 bytes:
 * unnamed), or an outcome of enum pf_accept_outcome (net/accept.h) with the errno behind
 * it. */
PF_MUST_USE int pf_datagram_receive(struct pf_datagram *d,
                                    const struct pf_datagram_order *order,
                                    struct sockaddr_storage *ret_peer,
                                    socklen_t *ret_peer_bytes, int *ret_errnum);

/* Send one datagram to the peer, from the address that d was sent to. 0 or a negative
 * errno: -EDESTADDRREQ for a peer without a name (peer_bytes 0), -EMSGSIZE if it is too
 * long, -EAGAIN if the queue of a unix socket is full. Waits only for room in our own
 * queue. */
PF_MUST_USE int pf_datagram_send(const struct pf_datagram *d, int fd,
                                 struct sockaddr_storage *peer, socklen_t peer_bytes,
                                 const void *bytes, size_t size);

/* Put the address that d was sent to into *address, which is that of the socket, with its
 * port; leave it alone if the socket has but one. Gives the length of it. */
socklen_t pf_datagram_local(const struct pf_datagram *d, struct sockaddr_storage *address,
                            socklen_t address_bytes);

#endif
