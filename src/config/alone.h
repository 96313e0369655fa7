/* min_servers 0: a server without workers, and what that makes of other settings. */
#ifndef PF_CONFIG_ALONE_H
#define PF_CONFIG_ALONE_H

#include "config/type.h"

/* Somebody set min_servers to 0, and not for a pool that starts its workers on demand. */
bool pf_alone_is_wanted(const struct pf_settings *settings, enum pf_server_type type);

/* Settings that were set and have no effect then are told through note (may be NULL). 0, or
 * -EINVAL with the sentence: this handler needs a process of its own. */
PF_MUST_USE int pf_alone_check(const struct pf_settings *settings, enum pf_handler handler,
                               pf_config_note *note, void *context, struct pf_error *error);

#endif
