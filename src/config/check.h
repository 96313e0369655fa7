/* Rules between settings: defaults give way, contradictions are refused. Pure. */
#ifndef PF_CONFIG_CHECK_H
#define PF_CONFIG_CHECK_H

#include "base/attr.h"
#include "base/error.h"
#include "config/config.h"
#include "config/type.h"
#include "worker/recipe.h"

struct pf_settings;

/* Adapt the defaults of the pool's settings to those that were set, to the server's type
 * and to the handler, each adaption stored with its reason and told through note (may be
 * NULL). Afterwards min_servers <= max_servers. With sizing dynamic and ondemand also
 * min_spare_servers <= max_spare_servers <= max_servers, and with dynamic 1 <= min_servers
 * and min_spare_servers <= min_servers. With sizing static the spares, and a min_servers
 * that was set beside max_servers, mean nothing.
 *
 * Expects defaults as in settings.def (pf_settings_restore()). 0, or -EINVAL with the
 * sentence and PREFORK_EXIT_CONFIG in error: values that were set contradict each other;
 * both are named with their origins. */
PF_MUST_USE int pf_check_settings(struct pf_settings *settings, enum pf_server_type type,
                                  enum pf_handler handler, pf_config_note *note,
                                  void *context, struct pf_error *error);

#endif
