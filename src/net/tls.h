/* TLS of ports and connections, as the rest of the library sees it.
 *
 * A struct pf_tls belongs to a port: made at start with every file read, inherited by
 * workers. What knows OpenSSL is a module of its own (tls/interface.h) that is loaded when
 * the first port needs it. */
#ifndef PF_NET_TLS_H
#define PF_NET_TLS_H

#include "base/attr.h"
#include "base/time.h"
#include "tls/interface.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pf_listeners;
struct pf_tls;

/* Load the module unless it is loaded, read and check all that setup names. A handshake may
 * take handshake_timeout. 0, or a negative errno with *fault filled. */
PF_MUST_USE int pf_tls_open(const struct pf_tls_setup *setup, pf_time handshake_timeout,
                            struct pf_tls **ret_tls, struct pf_tls_fault *fault);

/* NULL is fine. */
void pf_tls_close(struct pf_tls *tls);

/* Let what is accepted from ports with TLS be sent at once (TCP_NODELAY, which accepted
 * sockets inherit): handshake, tickets and answer are several small packets in one
 * direction, and the kernel would wait for the client's acknowledgement between them. */
void pf_tls_prepare(const struct pf_listeners *listeners);

/* In the master: erase keys of tickets that a worker born now must not have. */
void pf_tls_before_fork(const struct pf_listeners *listeners, pf_time now);

/* A reload: what lets the next master's workers take up sessions of these, in a sealed
 * memfd (close-on-exec, the caller's); -1: there is nothing to hand over, or no memory. And
 * in the next master, once the ports are open: take it (borrowed; -1 is fine). They are
 * secrets: whoever has the descriptor closes it as soon as there is no way back. */
int pf_tls_hand_over(const struct pf_listeners *listeners, pf_time now);
void pf_tls_take_over(const struct pf_listeners *listeners, int fd);

/* ---- a connection, in the worker ---- */

/* Begin TLS on the connection and wait for the client's handshake: 0, or a negative errno
 * (-ETIMEDOUT, -EPROTO, -ECONNRESET, ...) and the words for it, borrowed until
 * pf_tls_finish(), which has to be called in both cases. */
PF_MUST_USE int pf_tls_accept(struct prefork_conn *c, const struct pf_tls *tls,
                              const char **ret_reason);

/* As prefork_read() and prefork_write(): they wait. */
ssize_t pf_tls_read(struct prefork_conn *c, void *buffer, size_t size);
int pf_tls_write(struct prefork_conn *c, const void *bytes, size_t size);

/* Take leave of the client without waiting for an answer, and erase the session's keys. The
 * socket stays open. Without effect on a connection that has no TLS. */
void pf_tls_finish(struct prefork_conn *c);

/* The same without waiting: a number of bytes, 0 at the client's farewell, or a negative
 * errno; after -EAGAIN wait for *ret_wants (POLLIN or POLLOUT). Shut: our farewell; reading
 * goes on. */
ssize_t pf_tls_try_read(struct prefork_conn *c, void *buffer, size_t size,
                        short *ret_wants);
ssize_t pf_tls_try_write(struct prefork_conn *c, const void *bytes, size_t size,
                         short *ret_wants);
int pf_tls_shut(struct prefork_conn *c);

/* Facts; "" and false on a connection that has no TLS. Borrowed until pf_tls_finish(). */
const char *pf_tls_fact(struct prefork_conn *c, enum pf_tls_fact fact);
bool pf_tls_is_verified(const struct prefork_conn *c);
bool pf_tls_is_resumed(const struct prefork_conn *c);

#endif
