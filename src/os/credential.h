/* Users and groups: names to numbers, and becoming somebody else for good. */
#ifndef PF_OS_CREDENTIAL_H
#define PF_OS_CREDENTIAL_H

#include "base/attr.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    PF_CREDENTIAL_NAME_BYTES = 256,
};

struct pf_credential_user {
    uid_t uid;
    bool known; /* in the user database; otherwise it is a bare number, gid means nothing */
    gid_t gid;  /* primary group */
    char name[PF_CREDENTIAL_NAME_BYTES];
};

/* The user of this name or, if there is none, with this number. 0, -ENOENT (neither a
 * name nor a number), or the database's negative errno. */
PF_MUST_USE int pf_credential_user(const char *name, struct pf_credential_user *ret_user);

/* The group of this name or, if there is none, with this number. As above. */
PF_MUST_USE int pf_credential_group(const char *name, gid_t *ret_gid);

/* All groups of a known user, the primary one included. groups has room for capacity;
 * 0 or -ERANGE (there are more). */
PF_MUST_USE int pf_credential_groups_of(const struct pf_credential_user *user,
                                        gid_t *groups, unsigned capacity,
                                        unsigned *ret_count);

/* Whom to become, and what to keep. */
struct pf_credential_target {
    uid_t uid;
    gid_t gid;
    const gid_t *groups; /* supplementary groups; borrowed */
    unsigned count;
    uint64_t keep; /* capabilities (os/capability.h); nothing unless uid is not root */
};

/* True if the process is the target already and has no further group: then a drop changes
 * capabilities at most, and nothing has to be handed over. */
bool pf_credential_is(const struct pf_credential_target *target);

/* Whether pf_credential_drop() would be refused for want of rights, to be known before
 * anything is made. 0, or -EPERM with the sentence and PREFORK_EXIT_SYSTEM in error. */
PF_MUST_USE int pf_credential_check(const struct pf_credential_target *target,
                                    struct pf_error *error);

/* Become the target, with exactly its supplementary groups, in all of real, effective and
 * saved ids. Unless the target is root, every capability but those to keep is given up, in
 * all sets. All of it is read back, and root is asked for again. Somebody who is not root
 * and is the target already only loses capabilities.
 *
 * 0, or -EPERM with the sentence and PREFORK_EXIT_SYSTEM in error; the process then must
 * not go on: it may be half of one and half of the other. */
PF_MUST_USE int pf_credential_drop(const struct pf_credential_target *target,
                                   struct pf_error *error);

#endif
