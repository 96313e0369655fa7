/* Users and groups.
 *
 * Dropping goes from the least to the most powerful: supplementary groups, group, user;
 * after the user has changed nothing else could be changed. Then everything is read back
 * and root is asked for again, because a drop that half worked is worse than none: the
 * return codes of setuid() and its siblings have lied before (securebits, capabilities
 * kept over the change). Any doubt ends in -EPERM.
 *
 * Capabilities, securebits and namespaces are left as they are. */
#include "os/credential.h"

#include "base/text.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DATABASE_BYTES = 65536, /* of one entry of passwd or group, with its members */
};

/* ---- names ----------------------------------------------------------------------- */

/* An id as a number; -1 means "unchanged" to the kernel and is nobody. */
static int
read_id(const char *s, uint32_t *ret_id)
{
    uint64_t n;

    if (pf_text_number(s, &n) < 0 || n >= UINT32_MAX)
        return -ENOENT;
    *ret_id = (uint32_t)n;
    return 0;
}

static void
fill_user(const struct passwd *pw, struct pf_credential_user *ret_user)
{
    *ret_user = (struct pf_credential_user){
        .uid = pw->pw_uid,
        .known = true,
        .gid = pw->pw_gid,
    };
    (void)snprintf(ret_user->name, sizeof ret_user->name, "%s", pw->pw_name);
}

/* Several libraries answer "no such entry" with one of these instead of 0; getpwnam(3). */
static int
lookup_result(int r, const void *found)
{
    if (found)
        return 0;
    if (r == 0 || r == ENOENT || r == ESRCH || r == EBADF || r == EPERM)
        return -ENOENT;
    return -r;
}

int
pf_credential_user(const char *name, struct pf_credential_user *ret_user)
{
    char buffer[DATABASE_BYTES];
    struct passwd entry;
    struct passwd *found = NULL;
    uint32_t id;
    int r;

    r = getpwnam_r(name, &entry, buffer, sizeof buffer, &found);
    r = lookup_result(r, found);
    if (r == -ENOENT && read_id(name, &id) == 0) {
        r = getpwuid_r(id, &entry, buffer, sizeof buffer, &found);
        r = lookup_result(r, found);
        if (r == -ENOENT) {
            *ret_user = (struct pf_credential_user){.uid = id};
            (void)snprintf(ret_user->name, sizeof ret_user->name, "%s", name);
            return 0;
        }
    }
    if (r < 0)
        return r;
    fill_user(found, ret_user);
    return 0;
}

int
pf_credential_group(const char *name, gid_t *ret_gid)
{
    char buffer[DATABASE_BYTES];
    struct group entry;
    struct group *found = NULL;
    uint32_t id;
    int r;

    r = getgrnam_r(name, &entry, buffer, sizeof buffer, &found);
    r = lookup_result(r, found);
    if (r == 0)
        *ret_gid = found->gr_gid;
    if (r == -ENOENT && read_id(name, &id) == 0) {
        *ret_gid = id;
        r = 0;
    }
    return r;
}

int
pf_credential_groups_of(const struct pf_credential_user *user, gid_t *groups,
                        unsigned capacity, unsigned *ret_count)
{
    int count = (int)capacity;

    PF_ASSERT(user->known);
    if (getgrouplist(user->name, user->gid, groups, &count) < 0)
        return -ERANGE;
    *ret_count = (unsigned)count;
    return 0;
}

/* ---- becoming somebody ----------------------------------------------------------- */

struct target {
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    unsigned count;
};

static bool
is_among(gid_t gid, const gid_t *groups, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (groups[i] == gid)
            return true;
    }
    return false;
}

static bool
has_ids(const struct target *t)
{
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid;

    if (getresuid(&ruid, &euid, &suid) < 0 || getresgid(&rgid, &egid, &sgid) < 0)
        return false;
    return ruid == t->uid && euid == t->uid && suid == t->uid && rgid == t->gid &&
           egid == t->gid && sgid == t->gid;
}

/* No supplementary group beyond those asked for; false too if that cannot be known. */
static bool
has_no_other_group(const struct target *t)
{
    int count = getgroups(0, NULL);
    bool none = count >= 0;
    gid_t *now;

    if (count <= 0)
        return none;
    now = calloc((size_t)count, sizeof *now);
    if (!now)
        return false;
    count = getgroups(count, now);
    none = count >= 0;
    for (int i = 0; i < count && none; i++)
        none = now[i] == t->gid || is_among(now[i], t->groups, t->count);
    free(now);
    return none;
}

static int
refuse(const struct target *t, const char *what, struct pf_error *error)
{
    return pf_error_set(error, PREFORK_EXIT_SYSTEM, EPERM,
                        "cannot become user %lu, group %lu: %s", (unsigned long)t->uid,
                        (unsigned long)t->gid, what);
}

static int
change(const struct target *t, struct pf_error *error)
{
    const char *hint = "not permitted; start as root, or leave user and group out";

    if (setgroups(t->count, t->groups) < 0 || setresgid(t->gid, t->gid, t->gid) < 0 ||
        setresuid(t->uid, t->uid, t->uid) < 0)
        return refuse(t, errno == EPERM ? hint : strerror(errno), error);
    return 0;
}

/* True if any of the ways back to root is open. Trying is the only proof. */
static bool
can_be_root(const struct target *t)
{
    const uid_t no_user = (uid_t)-1;
    const gid_t no_group = (gid_t)-1;

    if (t->uid == 0)
        return false; /* asked for */
    if (setresuid(no_user, 0, no_user) == 0 || setresuid(0, no_user, no_user) == 0)
        return true;
    return t->gid != 0 && setresgid(no_group, 0, no_group) == 0;
}

static int
verify(const struct target *t, struct pf_error *error)
{
    if (!has_ids(t))
        return refuse(t, "the kernel kept other ids", error);
    if (!has_no_other_group(t))
        return refuse(t, "the kernel kept other groups", error);
    if (can_be_root(t))
        return refuse(t, "root's rights could be taken back (securebits, capabilities)",
                      error);
    return 0;
}

int
pf_credential_drop(uid_t uid, gid_t gid, const gid_t *groups, unsigned count,
                   struct pf_error *error)
{
    const struct target t = {uid, gid, groups, count};
    int r;

    if (geteuid() != 0 && has_ids(&t) && has_no_other_group(&t))
        return 0;
    r = change(&t, error);
    return r < 0 ? r : verify(&t, error);
}
