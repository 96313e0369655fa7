/* One value on its way into the settings, and where it comes from. */
#ifndef PF_CONFIG_ENTRY_H
#define PF_CONFIG_ENTRY_H

#include "base/attr.h"
#include "base/error.h"
#include "base/text.h"
#include "config/table.h"

#include <stdint.h>

/* Ranks, weakest first. */
enum pf_origin_kind {
    PF_ORIGIN_DEFAULT,  /* settings.def, or adapted by pf_config_freeze() */
    PF_ORIGIN_PROGRAM,  /* prefork_set() from configure_hook */
    PF_ORIGIN_FILE,     /* config file */
    PF_ORIGIN_CALL,     /* prefork_set() elsewhere */
    PF_ORIGIN_ARGUMENT, /* command line */
};

struct pf_origin {
    enum pf_origin_kind kind;
    const char *file; /* borrowed from the settings; NULL unless PF_ORIGIN_FILE */
    unsigned line;    /* 1 and up in file */
};

/* Everything in it is borrowed. */
struct pf_entry {
    enum pf_setting_id id;
    const char *key; /* as it was written: maybe an alias, maybe with dashes */
    const char *value;
    const struct pf_origin *origin;
    struct pf_error *error; /* where complaints go; may be NULL */
};

/* Append where a value of setting id came from, for use in brackets: "x.conf:4",
 * "--max-servers", "prefork_set", "configure_hook", "default". */
void pf_origin_add(struct pf_text *t, const struct pf_origin *origin,
                   enum pf_setting_id id);

/* Append the beginning of a sentence about key: "x.conf:4: max_servers",
 * "--max-servers", "prefork_set: max_servers", "max_servers". */
void pf_origin_add_subject(struct pf_text *t, const struct pf_origin *origin,
                           const char *key);

/* Is the value one of its setting? *ret_number is what it means, in the unit of its type;
 * untouched for text and on failure.
 *
 * 0, -EINVAL (not a value of this type; empty; control characters or outer blanks) or
 * -ERANGE (out of bounds), with the sentence in e->error and PREFORK_EXIT_CONFIG. */
PF_MUST_USE int pf_entry_check(const struct pf_entry *e, int64_t *ret_number);

/* Say that no setting has this key, and which may be meant; id and value are not looked at.
 * -ENOENT, with PREFORK_EXIT_USAGE for the command line, else PREFORK_EXIT_CONFIG. */
PF_MUST_USE int pf_entry_refuse_key(const struct pf_entry *e);

#endif
