/* Freezing under way: what the files that freeze share. Internal to config/. */
#ifndef PF_CONFIG_FREEZE_H
#define PF_CONFIG_FREEZE_H

#include "base/attr.h"
#include "base/error.h"
#include "config/config.h"
#include "config/setting.h"
#include "os/credential.h"

struct pf_freeze {
    struct pf_settings *settings;
    struct pf_config *config;
    pf_config_note *note; /* may be NULL */
    void *context;
    struct pf_error *error;
};

/* Refuse entry index of a setting: "x.conf:4: user: there is no user \"bob\"". Returns
 * -errnum. */
int pf_freeze_refuse(const struct pf_freeze *f, enum pf_setting_id id, unsigned index,
                     int errnum, const char *format, ...) PF_PRINTF(5, 6);

/* Look a name up that entry index of a setting holds: 0, or refused. */
PF_MUST_USE int pf_freeze_user(const struct pf_freeze *f, enum pf_setting_id id,
                               unsigned index, const char *name,
                               struct pf_credential_user *ret_user);
PF_MUST_USE int pf_freeze_group(const struct pf_freeze *f, enum pf_setting_id id,
                                unsigned index, const char *name, gid_t *ret_gid);

/* endpoint.c: the ports, into config->endpoints. 0 or refused. */
PF_MUST_USE int pf_freeze_endpoints(const struct pf_freeze *f);

/* tls.c: certificates and keys of a port with protocol ssl, into e->tls. 0 or refused. */
struct pf_port;
PF_MUST_USE int pf_freeze_tls(const struct pf_port *p, struct pf_endpoint *e);

#endif
