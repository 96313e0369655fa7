/* Keys of session tickets: what lets any worker take up the session another one began. */
#ifndef PF_TLS_TICKET_H
#define PF_TLS_TICKET_H

#include "base/attr.h"
#include "base/time.h"

#include <openssl/ssl.h>
#include <stdint.h>

enum {
    PF_TICKET_NAME_BYTES = 16, /* as OpenSSL writes it in front of a ticket */
    PF_TICKET_KEY_BYTES = 32,
};

/* The keys of one epoch. */
struct pf_ticket_epoch {
    unsigned char name[PF_TICKET_NAME_BYTES];
    unsigned char cipher[PF_TICKET_KEY_BYTES];
    unsigned char mac[PF_TICKET_KEY_BYTES];
};

struct pf_ticket_keys {
    pf_time start; /* of epoch 0 */
    pf_time rotation;
    int64_t number; /* of the present epoch */
    unsigned char secret[PF_TICKET_KEY_BYTES];
    struct pf_ticket_epoch present;
    struct pf_ticket_epoch previous;
};

/* New keys by chance, for epochs of this length. 0 or -EIO: no random numbers. */
PF_MUST_USE int pf_ticket_init(struct pf_ticket_keys *keys, pf_time now, pf_time rotation);
void pf_ticket_deinit(struct pf_ticket_keys *keys);

/* Go on to the epoch of now. */
void pf_ticket_advance(struct pf_ticket_keys *keys, pf_time now);

/* Let ctx make and take tickets with them; keys is borrowed as long as ctx lives. Every
 * SSL_CTX that a session may end up with needs it. */
void pf_ticket_install(SSL_CTX *ctx, struct pf_ticket_keys *keys);

#endif
