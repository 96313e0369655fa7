/* Which settings there are: the rows of settings.def, and which of them a key means. */
#ifndef PF_CONFIG_TABLE_H
#define PF_CONFIG_TABLE_H

#include "base/attr.h"

#include <stddef.h>

/* PF_SETTING_PORT, ...: one per row of settings.def. */
enum pf_setting_id {
#define PF_SETTING(id, ...) PF_SETTING_##id,
#include "config/settings.def"
#undef PF_SETTING
    PF_SETTING_COUNT_OF,
};

enum pf_setting_type {
    PF_TYPE_FLAG,
    PF_TYPE_COUNT,   /* whole number within bounds */
    PF_TYPE_SECONDS, /* with fraction, within bounds */
    PF_TYPE_PERCENT, /* whole number within bounds */
    PF_TYPE_TEXT,
    PF_TYPE_PATH,
    PF_TYPE_CHOICE, /* one of the row's words */
    PF_TYPE_MODE,   /* octal permissions */
};

enum pf_setting_number {
    PF_NUMBER_SCALAR,
    PF_NUMBER_LIST,
};

/* When a changed value can take effect. */
enum pf_setting_applies {
    PF_APPLIES_NOW,
    PF_APPLIES_WORKER,
    PF_APPLIES_RESTART,
};

/* One row of settings.def; the columns are explained there. */
struct pf_setting {
    const char *group;
    const char *key;
    enum pf_setting_type type;
    const char *initial; /* the default, as text */
    double min;
    double max;
    const char *unit;
    enum pf_setting_number number;
    enum pf_setting_applies applies;
    const char *aliases;
    const char *words;
    const char *help;
    const char *manual;
};

/* The words of `handler`, as pf_settings_choice() counts them. Those of `sizing` and
 * `accept_order` are enum pf_sizing and enum pf_accept_order. */
enum pf_setting_handler {
    PF_CHOICE_HANDLER_AUTO,
    PF_CHOICE_HANDLER_SO,
    PF_CHOICE_HANDLER_NOWAIT,
    PF_CHOICE_HANDLER_WAIT,
};

/* The words of `access_default`. */
enum pf_setting_access {
    PF_CHOICE_ACCESS_AUTO,
    PF_CHOICE_ACCESS_ALLOW,
    PF_CHOICE_ACCESS_DENY,
};

/* The words of `on_client_disconnect` and `half_close`. */
enum pf_setting_departure {
    PF_CHOICE_DEPARTURE_AUTO,
    PF_CHOICE_DEPARTURE_IGNORE,
    PF_CHOICE_DEPARTURE_HOOK,
    PF_CHOICE_DEPARTURE_SIGNAL,
    PF_CHOICE_DEPARTURE_KILL,
};
enum pf_setting_half_close {
    PF_CHOICE_HALF_DISCONNECT,
    PF_CHOICE_HALF_IGNORE,
};

/* The row of id; borrowed, static. */
const struct pf_setting *pf_setting_row(enum pf_setting_id id);

/* The setting that key names, by its name or an alias; "-" and "_" are the same, and so are
 * capitals and small letters. 0 or
 * -ENOENT; *ret_id is untouched on failure. */
PF_MUST_USE int pf_setting_find(const char *key, enum pf_setting_id *ret_id);

/* The flag that key switches off: key is "no_" or "no-" and its name. The name of a setting
 * is no negation, though it may begin so. 0 or -ENOENT; *ret_flag is the part of key behind
 * "no_", untouched on failure. */
PF_MUST_USE int pf_setting_negated(const char *key, const char **ret_flag);

/* The key or alias that key was most probably meant to be, or NULL; not terminated after
 * *ret_length bytes; borrowed, static. */
const char *pf_setting_nearest(const char *key, size_t *ret_length);

/* Columns that hold several words separate them by blanks. The next of them: moves *words
 * behind it and gives its length, 0 at the end. The word itself then is *words - length. */
size_t pf_words_next(const char **words);

/* The index of key among words, or -1; "-" in key is read as "_", and case is ignored. */
PF_MUST_USE int pf_words_index(const char *key, const char *words);

#endif
