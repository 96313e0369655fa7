/* All settings with their values and where each came from.
 *
 * The table (config/table.h) has one row per setting. Every source goes through
 * pf_settings_set(), so a value is checked in one place and its origin is kept: a later
 * message can say "max_servers 3 (x.conf:4)". A source of higher rank wins; within one
 * source the last scalar wins and lists collect; across sources a list is replaced as a
 * whole. */
#ifndef PF_CONFIG_SETTING_H
#define PF_CONFIG_SETTING_H

#include "base/attr.h"
#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "config/entry.h"
#include "config/table.h"

#include <stdbool.h>

struct pf_settings;

/* All settings at their defaults (given), or NULL when memory is out. */
struct pf_settings *pf_settings_new(void);

/* NULL is fine. */
void pf_settings_free(struct pf_settings *settings);

/* Check and store one value. key, value and origin with its file are copied. A value of
 * a lower rank than the stored one is checked and then dropped. A key of config/foreign.h
 * is remembered for pf_settings_tell_foreign(), and its value is not looked at.
 *
 * 0, -ENOENT (no such key), -EINVAL (not a value of this type; empty; control characters
 * or outer blanks), -ERANGE (out of bounds), -ENOMEM; with the sentence in error and
 * PREFORK_EXIT_CONFIG, or PREFORK_EXIT_USAGE for an unknown key of the command line.
 * Nothing changes on failure. */
PF_MUST_USE int pf_settings_set(struct pf_settings *settings, const char *key,
                                const char *value, const struct pf_origin *origin,
                                struct pf_error *error);

/* Tell each foreign key that was met since the last call, where it was met first, and why
 * it has no effect. */
void pf_settings_tell_foreign(struct pf_settings *settings,
                              void (*tell)(void *context, const char *text), void *context);

/* Replace the default of a setting that nobody has set; why is copied and becomes part
 * of its origin's text ("default, adapted to max_servers" for "adapted to max_servers").
 * As pf_settings_set(). */
PF_MUST_USE int pf_settings_adapt(struct pf_settings *settings, enum pf_setting_id id,
                                  const char *value, const char *why,
                                  struct pf_error *error);

/* Undo all pf_settings_adapt(). 0 or -ENOMEM with the sentence. */
PF_MUST_USE int pf_settings_restore(struct pf_settings *settings, struct pf_error *error);

/* True if somebody set it: it is more than a default. */
bool pf_settings_is_set(const struct pf_settings *settings, enum pf_setting_id id);

/* The value, of a setting of the type that the name says; anything else is a bug.
 * number: COUNT, PERCENT, MODE. choice: index of the word. text: TEXT, PATH, and every
 * other type as it was written; NULL while it is not set and has no default; the last
 * one of a list. Text is borrowed until the setting changes. A number without value is 0.
 */
unsigned pf_settings_number(const struct pf_settings *settings, enum pf_setting_id id);
pf_time pf_settings_span(const struct pf_settings *settings, enum pf_setting_id id);
bool pf_settings_flag(const struct pf_settings *settings, enum pf_setting_id id);
unsigned pf_settings_choice(const struct pf_settings *settings, enum pf_setting_id id);
const char *pf_settings_text(const struct pf_settings *settings, enum pf_setting_id id);

/* Entries of a list, in order; a scalar is a list of one, or of none while it is not
 * set. Items and origins are borrowed as above; NULL past the last item. */
unsigned pf_settings_item_count(const struct pf_settings *settings, enum pf_setting_id id);
const char *pf_settings_item(const struct pf_settings *settings, enum pf_setting_id id,
                             unsigned index);
const struct pf_origin *pf_settings_item_origin(const struct pf_settings *settings,
                                                enum pf_setting_id id, unsigned index);

/* Where the value came from: of a list, where its last entry did. Borrowed. */
const struct pf_origin *pf_settings_origin(const struct pf_settings *settings,
                                           enum pf_setting_id id);

/* Append the origin of entry index (0 for a scalar) as text; like pf_origin_add(), and
 * adapted defaults say so. */
void pf_settings_add_origin(struct pf_text *t, const struct pf_settings *settings,
                            enum pf_setting_id id, unsigned index);

#endif
