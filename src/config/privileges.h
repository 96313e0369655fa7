/* The settings about what is given up and handed over at start. */
#ifndef PF_CONFIG_PRIVILEGES_H
#define PF_CONFIG_PRIVILEGES_H

#include "base/attr.h"
#include "base/error.h"
#include "config/config.h"

struct pf_settings;

/* Fill chroot, umask, files to hand over and capabilities to keep into *config, whose user
 * and groups are known. 0, or -EINVAL with the sentence and PREFORK_EXIT_CONFIG. */
PF_MUST_USE int pf_privileges_freeze(const struct pf_settings *settings,
                                     struct pf_config *config, pf_config_note *note,
                                     void *context, struct pf_error *error);

#endif
