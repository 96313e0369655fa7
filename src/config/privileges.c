/* What is given up and handed over at start: text to values.
 *
 * Names of capabilities become a mask here, once; paths stay what they are, because whether
 * they exist is a matter of the moment they are used in.
 *
 * To keep capabilities without a drop, or as root, is a contradiction and not a nicety:
 * whoever writes it believes that all others are given up. */
#include "config/privileges.h"

#include "base/text.h"
#include "config/setting.h"
#include "os/capability.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    SUBJECT_BYTES = 320,
    NAME_BYTES = 64, /* of a capability */
};

#define SEPARATORS ", \t"

struct freezing {
    const struct pf_settings *settings;
    struct pf_config *config;
    pf_config_note *note;
    void *context;
    struct pf_error *error;
};

/* Refuse entry index of a setting: "x.conf:4: keep_capabilities: ...". */
PF_PRINTF(4, 5)
static int
refuse(const struct freezing *f, enum pf_setting_id id, unsigned index, const char *format,
       ...)
{
    char subject_bytes[SUBJECT_BYTES];
    char what[PF_ERROR_TEXT_BYTES];
    struct pf_text subject;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args); /* cut is fine */
    va_end(args);
    pf_text_init(&subject, subject_bytes, sizeof subject_bytes);
    pf_origin_add_subject(&subject, pf_settings_item_origin(f->settings, id, index),
                          pf_setting_row(id)->key);
    return pf_error_set(f->error, PREFORK_EXIT_CONFIG, EINVAL, "%s: %s", subject_bytes,
                        what);
}

/* One word of length bytes that names a capability. */
static int
keep_one(const struct freezing *f, unsigned index, const char *word, size_t length)
{
    char name[NAME_BYTES];
    uint64_t bit;

    (void)snprintf(name, sizeof name, "%.*s", (int)length, word);
    if (length >= sizeof name || pf_capability_find(name, &bit) < 0)
        return refuse(f, PF_SETTING_KEEP_CAPABILITIES, index,
                      "there is no capability \"%s\"; names are those of capabilities(7), "
                      "such as cap_net_bind_service",
                      name);
    f->config->recipe.keep_capabilities |= bit;
    return 0;
}

static int
keep_words(const struct freezing *f, unsigned index)
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
freeze_keep(const struct freezing *f)
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
        return refuse(f, id, 0, "user must be set too: without it none is given up");
    if (recipe->uid == 0)
        return refuse(f, id, 0, "root keeps all of them; set user to somebody else");
    return 0;
}

static int
freeze_files(const struct freezing *f)
{
    const enum pf_setting_id id = PF_SETTING_CHOWN_FILES;
    unsigned count = pf_settings_item_count(f->settings, id);

    if (count > PF_CONFIG_FILES_MAX)
        return refuse(f, id, PF_CONFIG_FILES_MAX, "more than %d files",
                      PF_CONFIG_FILES_MAX);
    if (count > 0 && !f->config->recipe.drop_privileges && f->note)
        f->note(f->context, "chown_files: not used, since neither user nor group is set");
    for (unsigned i = 0; i < count; i++)
        f->config->chown_files[i] = pf_settings_item(f->settings, id, i);
    f->config->chown_file_count = count;
    return 0;
}

int
pf_privileges_freeze(const struct pf_settings *settings, struct pf_config *config,
                     pf_config_note *note, void *context, struct pf_error *error)
{
    const struct freezing f = {settings, config, note, context, error};
    int r;

    config->recipe.keep_capabilities = 0;
    r = freeze_keep(&f);
    if (r == 0)
        r = freeze_files(&f);
    if (r < 0)
        return r;
    config->daemon.chroot = pf_settings_text(settings, PF_SETTING_CHROOT);
    config->daemon.has_umask = pf_settings_is_set(settings, PF_SETTING_UMASK);
    config->daemon.umask = (mode_t)pf_settings_number(settings, PF_SETTING_UMASK);
    return 0;
}
