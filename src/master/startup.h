/* From a frozen configuration to the loop, and back out of it. */
#ifndef PF_MASTER_STARTUP_H
#define PF_MASTER_STARTUP_H

#include "base/attr.h"
#include "base/error.h"
#include "config/config.h"
#include "master/upgrade.h"
#include "net/listener.h"

struct prefork;

/* What a server is made from. All borrowed but the last. */
struct pf_startup_setup {
    struct prefork *p; /* handed to hooks and not looked into */
    const struct pf_config *config;
    struct pf_listeners *listeners; /* what was handed in with `from`, or nothing */
    const struct pf_held *held;
    struct pf_image *image;
    struct pf_state *from; /* handed over by the master before; NULL: nothing; given */
};

/* Run the server. Returns an enum prefork_exit in the master, with the sentence in error if
 * it could not start; never in a worker, nor in a check, which ends where it has answered.
 * A server that was to take over and cannot is the one before it again, and this does not
 * return. */
int pf_startup_run(const struct pf_startup_setup *setup, struct pf_error *error);

/* The server cannot start or ended by an error: fatal_hook, then the log, unless that is
 * standard error, where whoever started the server says it. */
void pf_startup_fail(const struct prefork_app *app, const char *text);

#endif
