/* From the settings about access to the rules that workers apply.
 *
 * Everything that can be wrong with a rule is found here, at start: a pattern is compiled,
 * a block is read, and the sentence of a failure has the place where the rule was written.
 *
 * Rules that nobody can keep are refused: a program that accepts by itself, or has a loop
 * of its own, would let everybody in behind the operator's back. Rules that have no effect
 * are told, and so is what happens to clients that no rule names, since that depends on
 * which rules there are. */
#include "net/access.h"

#include "base/text.h"
#include "config/freeze.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    SENTENCE_BYTES = 384,
    QUOTED_CHARACTERS = 80,
};

#define SEPARATORS " \t,"

/* ---- what is said ---------------------------------------------------------------- */

/* A failure below: a sentence that misses its subject, or no memory. */
static int
pass_on(const struct pf_freeze *f, enum pf_setting_id id, unsigned index, int r,
        const struct pf_error *error)
{
    if (r == -ENOMEM)
        return pf_error_set(f->error, PREFORK_EXIT_SYSTEM, ENOMEM,
                            "out of memory for access rules");
    return pf_freeze_refuse(f, id, index, EINVAL, "%s", error->text);
}

static void
say(const struct pf_freeze *f, const struct pf_text *t)
{
    if (f->note)
        f->note(f->context, t->bytes);
}

/* ---- the four lists -------------------------------------------------------------- */

/* Tell of a pattern that is meant for names where there are none. */
static void
note_name(const struct pf_freeze *f, enum pf_setting_id id, unsigned index)
{
    const char *pattern = pf_settings_item(f->settings, id, index);
    char buffer[SENTENCE_BYTES];
    struct pf_text t;

    if (f->config->access->names || !pf_pattern_needs_name(pattern))
        return;
    pf_text_init(&t, buffer, sizeof buffer);
    pf_text_add(&t, "%s: %.*s (", pf_setting_row(id)->key, QUOTED_CHARACTERS, pattern);
    pf_settings_add_origin(&t, f->settings, id, index);
    pf_text_add(&t, ") can match no address, and names are not looked up: reverse_lookups "
                    "is off");
    say(f, &t);
}

static int
freeze_patterns(const struct pf_freeze *f, enum pf_setting_id id, struct pf_patterns *set)
{
    unsigned count = pf_settings_item_count(f->settings, id);

    for (unsigned i = 0; i < count; i++) {
        struct pf_error error = {0};
        int r = pf_patterns_add(set, pf_settings_item(f->settings, id, i), &error);
        if (r < 0)
            return pass_on(f, id, i, r, &error);
        note_name(f, id, i);
    }
    return 0;
}

/* The blocks of one entry. */
static int
add_blocks(const struct pf_freeze *f, enum pf_setting_id id, unsigned index,
           struct pf_blocks *set)
{
    const char *s = pf_settings_item(f->settings, id, index);
    struct pf_error error = {0};
    struct pf_block block;
    size_t before = set->count;
    size_t length;
    int r;

    for (s += strspn(s, SEPARATORS); *s != '\0'; s += length, s += strspn(s, SEPARATORS)) {
        length = strcspn(s, SEPARATORS);
        r = pf_block_parse(s, length, &block, &error);
        if (r == 0)
            r = pf_blocks_add(set, &block);
        if (r < 0)
            return pass_on(f, id, index, r, &error);
    }
    if (set->count == before)
        return pf_freeze_refuse(f, id, index, EINVAL, "no block of addresses is named");
    return 0;
}

static int
freeze_blocks(const struct pf_freeze *f, enum pf_setting_id id, struct pf_blocks *set)
{
    unsigned count = pf_settings_item_count(f->settings, id);
    int r = 0;

    for (unsigned i = 0; i < count && r == 0; i++)
        r = add_blocks(f, id, i, set);
    pf_blocks_seal(set);
    return r;
}

/* ---- lookups --------------------------------------------------------------------- */

static int
read_mode(struct pf_access *a, const char *word, size_t length)
{
    if (length == 6 && strncasecmp(word, "detail", length) == 0)
        a->tell_detail = true;
    else if (length == 8 && strncasecmp(word, "autofail", length) == 0)
        a->autofail = true;
    else if (length == 5 && strncasecmp(word, "debug", length) == 0)
        a->tell_success = true;
    else
        return -EINVAL;
    return 0;
}

/* Words such as "detail,debug"; whatever is no letter separates them. */
static int
read_modes(struct pf_access *a, const char *s)
{
    static const char others[] = SEPARATORS "-_:;|+/";
    size_t length;
    int r = 0;

    for (s += strspn(s, others); *s != '\0' && r == 0; s += strspn(s, others)) {
        length = strcspn(s, others);
        r = read_mode(a, s, length);
        s += length;
    }
    a->confirmed_only = a->names = true;
    return r;
}

/* A flag, or "double" or "2" and modes. */
static int
freeze_reverse(const struct pf_freeze *f)
{
    const enum pf_setting_id id = PF_SETTING_REVERSE_LOOKUPS;
    const char *s = pf_settings_text(f->settings, id);
    int r = -EINVAL;

    if (pf_text_flag(s, &f->config->access->names) == 0)
        return 0;
    if (strncasecmp(s, "double", 6) == 0)
        r = read_modes(f->config->access, s + 6);
    else if (s[0] == '2')
        r = read_modes(f->config->access, s + 1);
    if (r < 0)
        return pf_freeze_refuse(
            f, id, 0, EINVAL,
            "\"%.*s\" is none of 1, yes, on, true, 0, no, off, false, double; "
            "behind double may stand detail, autofail, debug",
            QUOTED_CHARACTERS, s);
    return 0;
}

/* A flag, or modes. */
static int
freeze_double(const struct pf_freeze *f)
{
    const enum pf_setting_id id = PF_SETTING_DOUBLE_REVERSE_LOOKUPS;
    const char *s = pf_settings_text(f->settings, id);
    bool on;

    if (pf_text_flag(s, &on) == 0)
        return on ? read_modes(f->config->access, "") : 0;
    if (read_modes(f->config->access, s) < 0)
        return pf_freeze_refuse(
            f, id, 0, EINVAL,
            "\"%.*s\" is none of 1, yes, on, true, 0, no, off, false, detail, "
            "autofail, debug",
            QUOTED_CHARACTERS, s);
    return 0;
}

/* ---- whoever no rule names ------------------------------------------------------- */

static size_t
allow_count(const struct pf_access *a)
{
    return a->allow.count + a->cidr_allow.count;
}

static size_t
rule_count(const struct pf_access *a)
{
    return allow_count(a) + a->deny.count + a->cidr_deny.count;
}

static void
freeze_rest(const struct pf_freeze *f)
{
    switch (pf_settings_choice(f->settings, PF_SETTING_ACCESS_DEFAULT)) {
    case PF_CHOICE_ACCESS_ALLOW: f->config->access->allow_rest = true; break;
    case PF_CHOICE_ACCESS_DENY: f->config->access->allow_rest = false; break;
    default: f->config->access->allow_rest = allow_count(f->config->access) == 0; break;
    }
}

static void
note_policy(const struct pf_freeze *f)
{
    const struct pf_access *a = f->config->access;
    char buffer[SENTENCE_BYTES];
    struct pf_text t;

    if (rule_count(a) == 0 && a->allow_rest)
        return;
    pf_text_init(&t, buffer, sizeof buffer);
    pf_text_add(&t,
                "access: deny has %zu patterns and %zu blocks, allow has %zu and %zu; "
                "whoever no rule names is %s (access_default %s)",
                a->deny.count, a->cidr_deny.count, a->allow.count, a->cidr_allow.count,
                a->allow_rest ? "allowed" : "denied",
                pf_settings_text(f->settings, PF_SETTING_ACCESS_DEFAULT));
    if (a->allow_rest && allow_count(a) > 0)
        pf_text_add(&t, "; so allow and cidr_allow have no effect");
    say(f, &t);
}

/* ---- the whole ------------------------------------------------------------------- */

/* Does the setting keep anybody out? */
static bool
restricts(const struct pf_freeze *f, enum pf_setting_id id)
{
    if (!pf_settings_is_set(f->settings, id))
        return false;
    if (id == PF_SETTING_ACCESS_DEFAULT)
        return !f->config->access->allow_rest;
    if (id == PF_SETTING_REVERSE_LOOKUPS || id == PF_SETTING_DOUBLE_REVERSE_LOOKUPS)
        return f->config->access->confirmed_only;
    return true;
}

static int
refuse_unkept(const struct pf_freeze *f)
{
    static const enum pf_setting_id ids[] = {
        PF_SETTING_ALLOW,
        PF_SETTING_DENY,
        PF_SETTING_CIDR_ALLOW,
        PF_SETTING_CIDR_DENY,
        PF_SETTING_ACCESS_DEFAULT,
        PF_SETTING_REVERSE_LOOKUPS,
        PF_SETTING_DOUBLE_REVERSE_LOOKUPS,
    };

    if (f->config->recipe.handler != PF_HANDLER_WAIT &&
        f->config->recipe.handler != PF_HANDLER_MAIN_LOOP)
        return 0;
    for (size_t i = 0; i < PF_COUNT(ids); i++) {
        if (restricts(f, ids[i]))
            return pf_freeze_refuse(
                f, ids[i], 0, EINVAL,
                "cannot be kept: %s, so whom it accepts is not ours to decide; "
                "leave the setting out, and let the program or a firewall decide",
                f->config->recipe.handler == PF_HANDLER_WAIT
                    ? "the program accepts connections by itself (handler wait)"
                    : "the program has a main_loop of its own");
    }
    return 0;
}

static int
freeze_all(const struct pf_freeze *f)
{
    struct pf_access *a = f->config->access;
    int r;

    a->lookup_timeout = pf_settings_span(f->settings, PF_SETTING_LOOKUP_TIMEOUT);
    r = freeze_reverse(f);
    if (r == 0)
        r = freeze_double(f);
    if (r == 0)
        r = freeze_patterns(f, PF_SETTING_ALLOW, &a->allow);
    if (r == 0)
        r = freeze_patterns(f, PF_SETTING_DENY, &a->deny);
    if (r == 0)
        r = freeze_blocks(f, PF_SETTING_CIDR_ALLOW, &a->cidr_allow);
    if (r == 0)
        r = freeze_blocks(f, PF_SETTING_CIDR_DENY, &a->cidr_deny);
    if (r < 0)
        return r;
    freeze_rest(f);
    r = refuse_unkept(f);
    if (r == 0)
        note_policy(f);
    return r;
}

static bool
is_idle(const struct pf_access *a)
{
    return rule_count(a) == 0 && a->allow_rest && !a->names;
}

int
pf_freeze_access(const struct pf_freeze *f)
{
    struct pf_config *config = f->config;
    int r;

    config->access = calloc(1, sizeof *config->access);
    if (!config->access)
        return pf_error_set(f->error, PREFORK_EXIT_SYSTEM, ENOMEM,
                            "out of memory for access rules");
    r = freeze_all(f);
    if (r < 0 || is_idle(config->access)) {
        pf_access_deinit(config->access);
        free(config->access);
        config->access = NULL;
    }
    config->recipe.access = config->access;
    return r;
}
