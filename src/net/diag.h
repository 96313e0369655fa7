/* What the kernel says about sockets that this process does not hold: sock_diag(7).
 *
 * Nothing here waits. The kernel answers while the question is sent; a question about all
 * sockets makes it walk through its tables, which takes a few hundred microseconds on a
 * machine with a table of common size, so whoever asks often counts such questions. */
#ifndef PF_NET_DIAG_H
#define PF_NET_DIAG_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    PF_DIAG_PATH_BYTES = 109, /* sun_path and its terminator */
};

/* How a TCP connection stands. */
enum pf_diag_stand {
    PF_DIAG_UNKNOWN, /* the kernel cannot be asked */
    PF_DIAG_NOTHING, /* there is no such connection, or no longer */
    PF_DIAG_OPEN,    /* the other end has not finished sending */
    PF_DIAG_LEFT,    /* it has, and we had not before it */
    PF_DIAG_OURS,    /* we have finished sending first */
};

/* The connection between these two ends. */
enum pf_diag_stand pf_diag_tcp(const struct sockaddr_storage *local,
                               const struct sockaddr_storage *peer);

/* The address by which this machine sends to peer, with this port: a guess at the local end
 * of a connection. 0 or a negative errno. */
PF_MUST_USE int pf_diag_guess_local(unsigned port, const struct sockaddr_storage *peer,
                                    struct sockaddr_storage *ret_local);

/* The local end of the connection that this peer has with this port. Walks through all
 * connections. *ret_local is filled unless the result is UNKNOWN or NOTHING. */
enum pf_diag_stand pf_diag_find_local(unsigned port, const struct sockaddr_storage *peer,
                                      struct sockaddr_storage *ret_local);

/* A connected socket. */
struct pf_diag_socket {
    uint64_t inode;
    uint64_t cookie;               /* tells it from a later one with the same inode */
    bool left;                     /* unix: the other end was closed */
    bool half;                     /* unix: it has finished sending, and we have not */
    struct sockaddr_storage local; /* TCP */
    struct sockaddr_storage peer;
    char path[PF_DIAG_PATH_BYTES]; /* unix: what it is bound to; '@' begins an abstract one
                                    */
};

/* Each socket is borrowed for the call. False: no more. */
typedef bool pf_diag_found(void *context, const struct pf_diag_socket *s);

/* TCP sockets of this family (AF_INET, AF_INET6) whose other end has finished sending and
 * that are still open here; those that are connected at this local port and were accepted
 * by somebody; unix sockets that are connected. All of them walk through all there are. 0
 * or a negative errno; -E2BIG: there were too many to see all. */
PF_MUST_USE int pf_diag_each_left(int family, pf_diag_found *found, void *context);
PF_MUST_USE int pf_diag_each_at(int family, unsigned port, pf_diag_found *found,
                                void *context);
PF_MUST_USE int pf_diag_each_unix(pf_diag_found *found, void *context);

/* The unix socket with this inode. 0 or a negative errno: -ENOENT, it is none. */
PF_MUST_USE int pf_diag_unix(uint64_t inode, struct pf_diag_socket *ret_socket);

#endif
