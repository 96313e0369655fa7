/* Who may come in: rules, made at start and applied to each client in a worker. */
#ifndef PF_NET_ACCESS_H
#define PF_NET_ACCESS_H

#include "base/time.h"
#include "net/block.h"
#include "net/lookup.h"
#include "net/pattern.h"

#include <stdbool.h>
#include <sys/socket.h>

enum {
    PF_VERDICT_REASON_BYTES = 256,
};

/* Filled at start by whoever reads the settings; does not change afterwards. */
struct pf_access {
    struct pf_patterns deny; /* of addresses and, with names, of names */
    struct pf_patterns allow;
    struct pf_blocks cidr_deny;  /* sealed */
    struct pf_blocks cidr_allow; /* sealed */
    bool allow_rest;             /* whoever no rule names may come in */
    bool names;                  /* clients are looked up, and patterns see their names */
    bool confirmed_only;         /* a client without confirmed name may not come in */
    bool autofail;               /* nor one with */
    bool tell_success;           /* log names that were confirmed */
    bool tell_detail;            /* log what was found in any case */
    pf_time lookup_timeout;
};

struct pf_access_client {
    const struct sockaddr *address; /* borrowed */
    socklen_t address_bytes;
    const char *host; /* the address as text; borrowed */
    /* Called when a name is needed, at most once; the result is borrowed. */
    const struct pf_lookup *(*look_up)(void *context);
    void *context;
};

struct pf_verdict {
    bool allowed;
    char reason[PF_VERDICT_REASON_BYTES]; /* why it was denied; "" if not */
};

/* May this client come in? One that is neither IPv4 nor IPv6 may. */
void pf_access_judge(const struct pf_access *access, const struct pf_access_client *client,
                     struct pf_verdict *ret_verdict);

/* Release what the rules hold, not the struct. A zeroed one is fine. */
void pf_access_deinit(struct pf_access *access);

#endif
