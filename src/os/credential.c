/* Users and groups.
 *
 * Dropping goes from the least to the most powerful: supplementary groups, group, user,
 * capabilities; after the user has changed nothing else could be changed. Then everything
 * is read back and root is asked for again, because a drop that half worked is worse than
 * none: the return codes of setuid() and its siblings have lied before. Any doubt ends in
 * -EPERM.
 *
 * Root is not the only one who may do this: what counts are the capabilities SETUID and
 * SETGID, and whoever has them may have others too. So capabilities are given up by name
 * and not left to what the kernel does when a user changes, which securebits can prevent.
 * To keep some of them over that change, the kernel is asked to keep all for a moment.
 *
 * A target that is root was asked for and keeps its power. Securebits, the bounding set and
 * namespaces are left as they are. */
#include "os/credential.h"

#include "base/text.h"
#include "os/capability.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
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
has_ids(const struct pf_credential_target *t)
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
has_no_other_group(const struct pf_credential_target *t)
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
refuse(const struct pf_credential_target *t, const char *what, struct pf_error *error)
{
    return pf_error_set(error, PREFORK_EXIT_SYSTEM, EPERM,
                        "cannot become user %lu, group %lu: %s", (unsigned long)t->uid,
                        (unsigned long)t->gid, what);
}

static const char not_permitted[] =
    "not permitted; start as root or with CAP_SETUID and CAP_SETGID, or leave user and "
    "group out";

static uint64_t
bit(cap_value_t capability)
{
    return (uint64_t)1 << capability;
}

/* Without the capability a user may only become who he is in one way already. */
static bool
may_become(uid_t uid)
{
    uid_t ruid, euid, suid;

    if (getresuid(&ruid, &euid, &suid) < 0)
        return false;
    return uid == ruid || uid == euid || uid == suid || pf_capability_has(bit(CAP_SETUID));
}

static int
refuse_keep(const struct pf_credential_target *t, struct pf_error *error)
{
    return refuse(t, "keep_capabilities names some that this process does not have", error);
}

bool
pf_credential_is(const struct pf_credential_target *target)
{
    return has_ids(target) && has_no_other_group(target);
}

int
pf_credential_check(const struct pf_credential_target *target, struct pf_error *error)
{
    struct pf_capabilities now = {0};

    if (!pf_credential_is(target) &&
        (!may_become(target->uid) || !pf_capability_has(bit(CAP_SETGID))))
        return refuse(target, not_permitted, error);
    if (pf_capability_read(&now) < 0 || (now.permitted & target->keep) != target->keep)
        return refuse_keep(target, error);
    return 0;
}

static int
change_ids(const struct pf_credential_target *t, struct pf_error *error)
{
    if (setgroups(t->count, t->groups) < 0 || setresgid(t->gid, t->gid, t->gid) < 0 ||
        setresuid(t->uid, t->uid, t->uid) < 0)
        return refuse(t, errno == EPERM ? not_permitted : strerror(errno), error);
    return 0;
}

static int
change(const struct pf_credential_target *t, struct pf_error *error)
{
    bool keeps = t->keep != 0;
    int r;

    if (keeps && pf_capability_keep(true) < 0)
        return refuse(t, "capabilities cannot be kept (securebits)", error);
    r = change_ids(t, error);
    if (r == 0 && keeps && pf_capability_keep(false) < 0)
        return refuse(t, "capabilities would be kept for ever (securebits)", error);
    return r;
}

static int
limit(const struct pf_credential_target *t, struct pf_error *error)
{
    int r = t->uid == 0 ? 0 : pf_capability_limit(t->keep);

    return r < 0 ? refuse(t, "the kernel kept other capabilities", error) : 0;
}

/* True if any of the ways back to root is open that was not asked for. Trying is the only
 * proof. */
static bool
can_be_root(const struct pf_credential_target *t)
{
    const uid_t no_user = (uid_t)-1;
    const gid_t no_group = (gid_t)-1;

    if (t->uid == 0)
        return false;
    if (!(t->keep & bit(CAP_SETUID)) &&
        (setresuid(no_user, 0, no_user) == 0 || setresuid(0, no_user, no_user) == 0))
        return true;
    return t->gid != 0 && !(t->keep & bit(CAP_SETGID)) &&
           setresgid(no_group, 0, no_group) == 0;
}

static int
verify(const struct pf_credential_target *t, struct pf_error *error)
{
    if (!has_ids(t))
        return refuse(t, "the kernel kept other ids", error);
    if (!has_no_other_group(t))
        return refuse(t, "the kernel kept other groups", error);
    if (can_be_root(t))
        return refuse(t, "root's rights could be taken back", error);
    return 0;
}

int
pf_credential_drop(const struct pf_credential_target *target, struct pf_error *error)
{
    int r = 0;

    if (geteuid() == 0 || !pf_credential_is(target))
        r = change(target, error);
    if (r == 0)
        r = limit(target, error);
    return r < 0 ? r : verify(target, error);
}
