/* The name of a client, believed only if it leads back to the client.
 *
 * Whoever owns an address may give it any name. A name counts here only if looking it up
 * gives the client's address again. Runs in a worker, never in the master: it blocks. */
#ifndef PF_NET_LOOKUP_H
#define PF_NET_LOOKUP_H

#include "base/attr.h"
#include "base/time.h"

#include <sys/socket.h>

enum {
    PF_LOOKUP_NAME_BYTES = 256,      /* longer than any name of the DNS */
    PF_LOOKUP_ADDRESSES_BYTES = 256, /* as much of the addresses as is told */
};

enum pf_lookup_outcome {
    PF_LOOKUP_CONFIRMED,
    PF_LOOKUP_NO_NAME,       /* nobody says so, or what was said is no name */
    PF_LOOKUP_NO_ADDRESS,    /* the name has no address of the client's IP version */
    PF_LOOKUP_OTHER_ADDRESS, /* it has addresses, and the client's is not among them */
    PF_LOOKUP_OUT_OF_TIME,   /* the name took so long that it could not be confirmed */
};

struct pf_lookup {
    enum pf_lookup_outcome outcome;
    char
        claimed[PF_LOOKUP_NAME_BYTES]; /* the name, confirmed or not; "" if there is none */
    char addresses[PF_LOOKUP_ADDRESSES_BYTES]; /* of the name: "192.0.2.1, 192.0.2.7" */
};

/* Look up an IPv4 or IPv6 address, both ways. Blocks for about span at most, which counts
 * in steps of a second and is 2 seconds at least (lookup.c says what is bounded and what is
 * not). The resolver's own options are as before afterwards. *ret_lookup is filled in every
 * case. */
void pf_lookup(const struct sockaddr *address, socklen_t length, pf_time span,
               struct pf_lookup *ret_lookup);

/* The confirmed name, or "". Borrowed from lookup. */
const char *pf_lookup_name(const struct pf_lookup *lookup);

/* The outcome in words: "its name has no address". Static. */
const char *pf_lookup_outcome_text(enum pf_lookup_outcome outcome);

#endif
