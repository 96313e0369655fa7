/* From a frozen configuration to the loop, and back out of it. */
#ifndef PF_MASTER_STARTUP_H
#define PF_MASTER_STARTUP_H

#include "base/attr.h"
#include "base/error.h"
#include "config/config.h"
#include "net/listener.h"

struct prefork;

/* Run the server. p is handed to the hooks and not looked into; config and listeners
 * (empty) are borrowed. Returns an enum prefork_exit in the master, with the sentence in
 * error if it could not start; never in a worker. */
int pf_startup_run(struct prefork *p, const struct pf_config *config,
                   struct pf_listeners *listeners, struct pf_error *error);

/* The server cannot start or ended by an error: fatal_hook, then the log, unless that is
 * standard error, where whoever started the server says it. */
void pf_startup_fail(const struct prefork_app *app, const char *text);

#endif
