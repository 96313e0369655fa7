/* Capabilities: the parts of root's power, and giving them up (capabilities(7)).
 *
 * A set of them is a mask with one bit per capability. */
#ifndef PF_OS_CAPABILITY_H
#define PF_OS_CAPABILITY_H

#include "base/attr.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* What this process has. */
struct pf_capabilities {
    uint64_t permitted;
    uint64_t effective;
    uint64_t inheritable;
};

enum {
    PF_CAPABILITY_E_NO_NAME = 1, /* there is none of this name, or not in this kernel */
};

/* The bit of a name such as "cap_net_bind_service", in any case. 0,
 * PF_CAPABILITY_E_NO_NAME, or a negative errno with the reason in error: there is no libcap
 * to ask. */
PF_MUST_USE int pf_capability_find(const char *name, uint64_t *ret_bit,
                                   struct pf_error *error);

/* 0 or a negative errno. */
PF_MUST_USE int pf_capability_read(struct pf_capabilities *ret_capabilities);

/* True if every capability of the mask is in effect. */
bool pf_capability_has(uint64_t mask);

/* While on, a change from root to another user leaves what is permitted as it is. 0 or a
 * negative errno. */
PF_MUST_USE int pf_capability_keep(bool on);

/* On: a program that is executed now has what this process is permitted, whoever its user
 * is. True: that had to be arranged, and is undone by off. False: there is nothing to pass
 * on, or it is passed on anyway: for root, and where whoever started the process wanted it
 * so. */
bool pf_capability_pass_on(bool on);

/* Give up every capability but those of the mask, which are in effect afterwards; none is
 * handed on to programs. Read back: 0, or a negative errno (-EPERM: one of the mask is not
 * permitted, or the kernel kept others). */
PF_MUST_USE int pf_capability_limit(uint64_t mask);

#endif
