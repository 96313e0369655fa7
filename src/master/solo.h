/* A server without workers: min_servers 0. */
#ifndef PF_MASTER_SOLO_H
#define PF_MASTER_SOLO_H

#include "base/attr.h"
#include "base/error.h"
#include "core/policy.h"
#include "master/herald.h"
#include "master/renewal.h"
#include "net/listener.h"
#include "worker/recipe.h"

/* All borrowed until pf_solo_run() returns. */
struct pf_solo_setup {
    const struct pf_recipe *recipe;
    const struct pf_policy *policy; /* its time limits */
    struct pf_listeners *listeners;
    const struct pf_herald *herald; /* hears of start, stop and reload */
    struct pf_renewal *renewal;     /* SIGHUP; opened */
    /* The work begins: once, and once more after a reload that the system refused. */
    void (*on_ready)(void *context);
    /* The process ends where it is, because its time is over (exit_code 0, text NULL;
     * called in a signal handler) or because it cannot go on: take back what the start
     * made. */
    void (*on_end)(void *context, int exit_code, const char *text);
    void *context;
};

/* Be the worker: child_init_hook, the loop of the handler, before_shutdown when a stop was
 * asked for, child_finish_hook. 0 when the loop has returned and requests are counted, or a
 * negative errno with the sentence in error. It does not return where a reload ends it. */
PF_MUST_USE int pf_solo_run(const struct pf_solo_setup *setup, unsigned long *ret_requests,
                            struct pf_error *error);

#endif
