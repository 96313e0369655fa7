/* Who runs the server, and what is given up and handed over at start: text to values.
 *
 * Users and groups are looked up once, here: after this they are numbers.
 *
 * Names of capabilities become a mask here, once; paths stay what they are, because whether
 * they exist is a matter of the moment they are used in.
 *
 * To keep capabilities without a drop, or as root, is a contradiction and not a nicety:
 * whoever writes it believes that all others are given up. */
#include "base/text.h"
#include "config/freeze.h"
#include "config/setting.h"
#include "os/capability.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    WORD_BYTES = 256, /* a user or group in a list */
    NAME_BYTES = 64,  /* of a capability */
};

#define SEPARATORS ", \t"

/* ---- who runs it ------------------------------------------------------------------ */

/* The groups that `group` lists, into config->groups. */
static int
freeze_group_list(const struct pf_freeze *f)
{
    const char *s = pf_settings_text(f->settings, PF_SETTING_GROUP);
    struct pf_recipe *recipe = &f->config->recipe;
    char name[WORD_BYTES];
    size_t length;
    int r;

    for (s += strspn(s, SEPARATORS); *s != '\0'; s += length, s += strspn(s, SEPARATORS)) {
        length = strcspn(s, SEPARATORS);
        if (length >= sizeof name)
            return pf_freeze_refuse(f, PF_SETTING_GROUP, 0, EINVAL, "a name is too long");
        if (recipe->group_count == PF_CONFIG_GROUPS_MAX)
            return pf_freeze_refuse(f, PF_SETTING_GROUP, 0, EINVAL, "more than %d groups",
                                    PF_CONFIG_GROUPS_MAX);
        memcpy(name, s, length);
        name[length] = '\0';
        r = pf_freeze_group(f, PF_SETTING_GROUP, 0, name,
                            &f->config->groups[recipe->group_count]);
        if (r < 0)
            return r;
        recipe->group_count++;
    }
    if (recipe->group_count == 0)
        return pf_freeze_refuse(f, PF_SETTING_GROUP, 0, EINVAL, "no group is named");
    recipe->gid = f->config->groups[0];
    return 0;
}

/* The groups that the user database gives to the user, into config->groups. */
static int
freeze_groups_of(const struct pf_freeze *f, const struct pf_credential_user *user)
{
    struct pf_recipe *recipe = &f->config->recipe;

    if (!user->known)
        return pf_freeze_refuse(
            f, PF_SETTING_USER, 0, EINVAL,
            "user %s is not in the user database, so group must be set too", user->name);
    recipe->gid = user->gid;
    if (pf_credential_groups_of(user, f->config->groups, PF_CONFIG_GROUPS_MAX,
                                &recipe->group_count) < 0)
        return pf_freeze_refuse(
            f, PF_SETTING_USER, 0, EINVAL,
            "user %s is in more than %d groups; set group to those needed", user->name,
            PF_CONFIG_GROUPS_MAX);
    return 0;
}

int
pf_freeze_credentials(const struct pf_freeze *f)
{
    const char *name = pf_settings_text(f->settings, PF_SETTING_USER);
    bool has_group = pf_settings_is_set(f->settings, PF_SETTING_GROUP);
    struct pf_recipe *recipe = &f->config->recipe;
    struct pf_credential_user user = {.uid = geteuid()};
    int r;

    recipe->drop_privileges = name || has_group;
    recipe->gid = getegid();
    recipe->groups = f->config->groups;
    recipe->group_count = 0;
    if (name) {
        r = pf_freeze_user(f, PF_SETTING_USER, 0, name, &user);
        if (r < 0)
            return r;
    }
    recipe->uid = user.uid;
    if (has_group)
        return freeze_group_list(f);
    return name ? freeze_groups_of(f, &user) : 0;
}

/* ---- what is kept and handed over ------------------------------------------------- */

/* One word of length bytes that names a capability. */
static int
keep_one(const struct pf_freeze *f, unsigned index, const char *word, size_t length)
{
    struct pf_error error = {0};
    char name[NAME_BYTES];
    uint64_t bit;
    int r;

    (void)snprintf(name, sizeof name, "%.*s", (int)length, word);
    r = pf_capability_find(name, &bit, &error);
    if (r < 0)
        return pf_freeze_refuse(f, PF_SETTING_KEEP_CAPABILITIES, index, -r,
                                "names of capabilities need the library libcap: %s",
                                error.text);
    if (r > 0 || length >= sizeof name)
        return pf_freeze_refuse(
            f, PF_SETTING_KEEP_CAPABILITIES, index, EINVAL,
            "there is no capability \"%s\"; names are those of capabilities(7), "
            "such as cap_net_bind_service",
            name);
    f->config->recipe.keep_capabilities |= bit;
    return 0;
}

static int
keep_words(const struct pf_freeze *f, unsigned index)
{
    const char *s = pf_settings_item(f->settings, PF_SETTING_KEEP_CAPABILITIES, index);
    size_t length;
    int r = 0;

    for (s += strspn(s, SEPARATORS); *s != '\0' && r == 0; s += strspn(s, SEPARATORS)) {
        length = strcspn(s, SEPARATORS);
        r = keep_one(f, index, s, length);
        s += length;
    }
    return r;
}

static int
freeze_keep(const struct pf_freeze *f)
{
    const enum pf_setting_id id = PF_SETTING_KEEP_CAPABILITIES;
    const struct pf_recipe *recipe = &f->config->recipe;
    unsigned count = pf_settings_item_count(f->settings, id);
    int r = 0;

    for (unsigned i = 0; i < count && r == 0; i++)
        r = keep_words(f, i);
    if (r < 0 || recipe->keep_capabilities == 0)
        return r;
    if (!recipe->drop_privileges)
        return pf_freeze_refuse(f, id, 0, EINVAL,
                                "user must be set too: without it none is given up");
    if (recipe->uid == 0)
        return pf_freeze_refuse(f, id, 0, EINVAL,
                                "root keeps all of them; set user to somebody else");
    return 0;
}

static int
freeze_files(const struct pf_freeze *f)
{
    const enum pf_setting_id id = PF_SETTING_CHOWN_FILES;
    unsigned count = pf_settings_item_count(f->settings, id);

    if (count > PF_CONFIG_FILES_MAX)
        return pf_freeze_refuse(f, id, PF_CONFIG_FILES_MAX, EINVAL, "more than %d files",
                                PF_CONFIG_FILES_MAX);
    if (count > 0 && !f->config->recipe.drop_privileges && f->note)
        f->note(f->context, "chown_files: not used, since neither user nor group is set");
    for (unsigned i = 0; i < count; i++)
        f->config->chown_files[i] = pf_settings_item(f->settings, id, i);
    f->config->chown_file_count = count;
    return 0;
}

/* A master that the keeper starts has the rights and the root directory of the keeper. */
static int
check_keeper(const struct pf_freeze *f)
{
    const char *what = f->config->daemon.chroot                   ? "chroot"
                       : f->config->recipe.keep_capabilities != 0 ? "keep_capabilities"
                                                                  : NULL;

    if (!f->config->daemon.keeper || !what)
        return 0;
    return pf_freeze_refuse(f, PF_SETTING_KEEPER, 0, EINVAL,
                            "cannot go with %s: another master could not be given that "
                            "again; let a service manager do it (fdstore)",
                            what);
}

int
pf_freeze_privileges(const struct pf_freeze *f)
{
    struct pf_daemon *daemon = &f->config->daemon;
    int r;

    f->config->recipe.keep_capabilities = 0;
    r = freeze_keep(f);
    if (r == 0)
        r = freeze_files(f);
    if (r < 0)
        return r;
    daemon->chroot = pf_settings_text(f->settings, PF_SETTING_CHROOT);
    daemon->has_umask = pf_settings_is_set(f->settings, PF_SETTING_UMASK);
    daemon->umask = (mode_t)pf_settings_number(f->settings, PF_SETTING_UMASK);
    return check_keeper(f);
}
