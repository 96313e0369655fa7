/* From the settings about access to the rules that workers apply. */
#ifndef PF_CONFIG_ACCESS_H
#define PF_CONFIG_ACCESS_H

#include "base/attr.h"
#include "base/error.h"
#include "config/config.h"

struct pf_settings;

/* Make config->access (NULL if nobody has to be asked anything) and lend it to the recipe,
 * whose handler is set. What the rules come to, and rules that can never match, are told
 * through note (may be NULL).
 *
 * 0, or -EINVAL or -ENOMEM with the sentence and the exit code in error; then
 * config->access is NULL. */
PF_MUST_USE int pf_config_freeze_access(const struct pf_settings *settings,
                                        struct pf_config *config, pf_config_note *note,
                                        void *context, struct pf_error *error);

#endif
