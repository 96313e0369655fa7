/* From whoever started the server to whoever runs it. */
#ifndef PF_MASTER_PRIVILEGES_H
#define PF_MASTER_PRIVILEGES_H

#include "base/attr.h"
#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>

/* Whether this process may start the server as configured, before anything is made; or
 * (is_first is false) go on for one that was started before, perhaps by root. 0 or a
 * negative errno with the sentence. */
PF_MUST_USE int pf_privileges_check(const struct pf_config *config, bool is_first,
                                    struct pf_error *error);

/* Hand files over, enter the root directory, drop what is to be dropped: for good. pid_fd
 * is the open pid file or -1. 0, or a negative errno with the sentence; the process then
 * must not go on. */
PF_MUST_USE int pf_privileges_give_up(const struct pf_config *config, int pid_fd,
                                      struct pf_error *error);

/* In a process that made nothing and starts nothing but masters: drop what is to be
 * dropped. 0, or a negative errno with the sentence; the process then must not go on. */
PF_MUST_USE int pf_privileges_drop(const struct pf_config *config, struct pf_error *error);

#endif
