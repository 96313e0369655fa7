/* What is behind the public `struct prefork`. */
#ifndef PF_API_SERVER_H
#define PF_API_SERVER_H

#include "base/attr.h"
#include "base/error.h"
#include "config/config.h"
#include "config/setting.h"
#include "net/listener.h"
#include <prefork/prefork.h>

struct prefork {
    struct prefork_app app;
    struct pf_settings *settings;
    struct pf_config config;
    struct pf_listeners listeners;
    struct pf_error error;
    char *name;        /* given */
    char *const *argv; /* of the program, borrowed; NULL: the app has functions */
    char *program;     /* resolved path, given; NULL until found */
    bool in_configure; /* configure_hook runs: values have the lowest rank */
    bool configured;   /* configure_hook ran and the config file was read */
    bool frozen;       /* config is what the settings say */
    bool running;
};

/* module.c: load a shared object and take its app over the present one. 0, or a negative
 * errno with the sentence in p->error. The object stays loaded for good. */
PF_MUST_USE int pf_module_load(struct prefork *p, const char *path);

#endif
