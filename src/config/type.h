/* server_type: the personalities of Net::Server, and what each makes of the settings. */
#ifndef PF_CONFIG_TYPE_H
#define PF_CONFIG_TYPE_H

#include "base/attr.h"
#include "base/error.h"
#include "config/config.h"
#include "config/table.h"

#include <stdbool.h>

enum pf_server_type {
    PF_SERVER_PREFORK,        /* a pool whose size follows the load */
    PF_SERVER_PREFORK_SIMPLE, /* a pool of max_servers workers */
    PF_SERVER_FORK,           /* a worker for each connection */
    PF_SERVER_SINGLE,         /* one worker */
    PF_SERVER_INET,           /* one connection, on standard input and output */
};

/* The first type named by server_type that there is; others are told about through note
 * (may be NULL) and passed over. 0, or -EINVAL with the sentence: none is known. */
PF_MUST_USE int pf_type_choose(const struct pf_settings *settings,
                               enum pf_server_type *ret_type, pf_config_note *note,
                               void *context, struct pf_error *error);

const char *pf_type_name(enum pf_server_type type);

/* The sizing that a type stands for, as text, with what it makes of some defaults; NULL:
 * the type leaves that to the settings. */
struct pf_type_rules {
    const char *name;
    const char *sizing;
    const char *max_servers;
    const char *max_requests;
    const char *no_client_stdout;
};

const struct pf_type_rules *pf_type_rules(enum pf_server_type type);

/* False: the setting means nothing to a server of this type. */
bool pf_type_uses(enum pf_server_type type, enum pf_setting_id id);

#endif
