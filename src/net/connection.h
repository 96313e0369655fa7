/* One accepted connection: its descriptor, its addresses, and input that was read ahead.
 *
 * A worker has one struct prefork_conn and uses it for one connection after the other. A
 * datagram is a connection too: its input is the payload, each piece of output is a
 * datagram of its own, and the descriptor is the listener's and stays open. Addresses
 * become text only when somebody asks. */
#ifndef PF_NET_CONNECTION_H
#define PF_NET_CONNECTION_H

#include "base/attr.h"
#include "net/lookup.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

struct prefork_worker;
struct pf_listener;
struct pf_datagram;
struct pf_tls_session;

enum {
    PF_CONNECTION_TEXT_BYTES = 128,
    PF_CONNECTION_INPUT_BYTES = 4096,
};

/* An address and its texts, each made when first asked for. */
struct pf_connection_end {
    bool known; /* address is filled */
    struct sockaddr_storage address;
    socklen_t address_bytes;
    char text[PF_CONNECTION_TEXT_BYTES]; /* with port; "" until asked for */
    char host[PF_CONNECTION_TEXT_BYTES]; /* without */
};

struct prefork_conn {
    int fd;
    struct prefork_worker *worker;      /* borrowed */
    const struct pf_listener *listener; /* where it came in; borrowed */
    struct pf_tls_session *tls;         /* net/tls.c owns it; NULL: plain */
    struct pf_connection_end peer;
    struct pf_connection_end local;
    bool looked_up;               /* lookup is filled */
    struct pf_lookup lookup;      /* the peer's name */
    struct pf_datagram *datagram; /* NULL: a stream; borrowed */
    const char *input;            /* what was read ahead: ahead below, or the payload */
    size_t input_start;           /* bytes of input consumed */
    size_t input_end;             /* bytes of input filled */
    char ahead[PF_CONNECTION_INPUT_BYTES];
};

/* c is about the connected socket fd (consumed) now. peer is copied from the caller's
 * fill: c->peer.address and address_bytes are set before. */
void pf_connection_open(struct prefork_conn *c, int fd, const struct pf_listener *listener);

/* c is about this datagram now, that was received from this listener. The rest is as above.
 */
void pf_connection_open_datagram(struct prefork_conn *c, struct pf_datagram *datagram,
                                 const struct pf_listener *listener);

/* Take leave, with TLS, and close the descriptor, unless it is the listener's. */
void pf_connection_close(struct prefork_conn *c);

/* As prefork_read(), prefork_gets(), prefork_write(), prefork_vprintf(). */
ssize_t pf_connection_read(struct prefork_conn *c, void *buffer, size_t size);
ssize_t pf_connection_gets(struct prefork_conn *c, char *buffer, size_t size);
int pf_connection_write(struct prefork_conn *c, const void *bytes, size_t size);
int pf_connection_vprintf(struct prefork_conn *c, const char *format, va_list args)
    PF_PRINTF(2, 0);

/* As prefork_datagram(), prefork_datagram_cut(). */
const void *pf_connection_datagram(const struct prefork_conn *c, size_t *ret_size);
size_t pf_connection_datagram_cut(const struct prefork_conn *c);

bool pf_connection_is_unix(const struct prefork_conn *c);

/* "tcp", "unix", ...: static. */
const char *pf_connection_proto(const struct prefork_conn *c);

/* The texts of the public calls; never NULL. */
const char *pf_connection_peer_text(struct prefork_conn *c);
const char *pf_connection_peer_host(struct prefork_conn *c);
unsigned pf_connection_peer_port(struct prefork_conn *c);
const char *pf_connection_local_text(struct prefork_conn *c);
const char *pf_connection_local_host(struct prefork_conn *c);
unsigned pf_connection_local_port(struct prefork_conn *c);

#endif
