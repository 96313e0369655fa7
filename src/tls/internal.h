/* What the files of the TLS module share. Nothing outside of tls/ includes it. */
#ifndef PF_TLS_INTERNAL_H
#define PF_TLS_INTERNAL_H

#include "tls/interface.h"
#include "tls/ticket.h"

#include <openssl/ssl.h>

enum {
    PF_CONTEXT_ID_BYTES = 16,
};

/* One certificate, and the names it is for. */
struct pf_tls_named {
    SSL_CTX *ctx;
    char names[PF_TLS_NAMES_BYTES]; /* in lower case, separated by commas */
};

struct pf_tls_context {
    SSL_CTX *ctx; /* all rules, and the certificate for clients that name no other */
    struct pf_tls_named *others;
    unsigned other_count;
    unsigned char *alpn;
    size_t alpn_bytes;
    bool (*judge)(struct prefork_conn *c, bool good, int depth, const char *subject,
                  const char *reason, void *data);
    void *data;
    bool verifies;                         /* clients' certificates */
    unsigned char id[PF_CONTEXT_ID_BYTES]; /* of its sessions */
    struct pf_ticket_keys tickets;
};

/* context.c */
int pf_context_open(const struct pf_tls_setup *setup, struct pf_tls_context **ret_context,
                    struct pf_tls_fault *fault);
void pf_context_close(struct pf_tls_context *context);
size_t pf_context_give_keys(const struct pf_tls_context *context, void *buffer);
void pf_context_take_keys(struct pf_tls_context *context, const void *bytes, size_t size);

/* pair.c: read certificate, chain and key of a pair into ctx. 0, or as pf_fault_set(). */
PF_MUST_USE int pf_pair_read(SSL_CTX *ctx, const struct pf_tls_setup *setup,
                             const struct pf_tls_pair *pair, struct pf_tls_fault *fault);

/* trust.c: read the certificates that clients are checked against. As above. */
PF_MUST_USE int pf_trust_read(SSL_CTX *ctx, const struct pf_tls_setup *setup,
                              struct pf_tls_fault *fault);

/* name.c: does one of the names, separated by commas, mean host (in lower case)? */
bool pf_names_match(const char *names, const char *host);

/* name.c: host in lower case into buffer; false if it is none: too long, or with
 * characters that no host name has. */
bool pf_name_copy(const char *host, char *buffer, size_t size);

/* session.c: the calls of the interface. */
struct pf_tls_session *pf_session_start(struct pf_tls_context *context, int fd,
                                        struct prefork_conn *owner);
void pf_session_end(struct pf_tls_session *s);
int pf_session_handshake(struct pf_tls_session *s);
ssize_t pf_session_read(struct pf_tls_session *s, void *buffer, size_t size);
ssize_t pf_session_write(struct pf_tls_session *s, const void *bytes, size_t size);
int pf_session_shut(struct pf_tls_session *s);
short pf_session_wants(const struct pf_tls_session *s);
const char *pf_session_reason(const struct pf_tls_session *s);
const char *pf_session_fact(struct pf_tls_session *s, enum pf_tls_fact fact);
bool pf_session_is_verified(const struct pf_tls_session *s);
bool pf_session_is_resumed(const struct pf_tls_session *s);

/* session.c: the callback of SSL_CTX_set_verify(3). */
int pf_session_judge(int good, X509_STORE_CTX *store);

/* fault.c: fill in and return -EINVAL. reason: the newest words of OpenSSL's, never NULL;
 * its queue of errors is empty afterwards. */
int pf_fault_set(struct pf_tls_fault *fault, enum pf_tls_item item, const char *format, ...)
    PF_PRINTF(3, 4);
const char *pf_fault_reason(void);

#endif
