/* Freezing under way: what the files that freeze share. Internal to config/. */
#ifndef PF_CONFIG_FREEZE_H
#define PF_CONFIG_FREEZE_H

#include "base/attr.h"
#include "base/error.h"
#include "config/config.h"
#include "config/setting.h"
#include "config/type.h"
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

/* datagram.c: what a port needs for datagrams, into *e, whose address is read already. 0 or
 * refused. */
struct pf_port;
PF_MUST_USE int pf_freeze_datagrams(const struct pf_port *p, struct pf_endpoint *e);

/* datagram.c: the same for sockets that were handed in without a port, into the recipe. */
PF_MUST_USE int pf_freeze_datagram_defaults(const struct pf_freeze *f);

/* departure.c: what is to happen when a client goes, into policy and recipe. 0 or refused.
 */
PF_MUST_USE int pf_freeze_departures(const struct pf_freeze *f, enum pf_server_type type);

/* endpoint.c: the ports, into config->endpoints. 0 or refused. */
PF_MUST_USE int pf_freeze_endpoints(const struct pf_freeze *f);

/* access.c: the rules about clients, into config->access (NULL if nobody has to be asked
 * anything), which is lent to the recipe. What the rules come to, and rules that can never
 * match, are told. 0 or refused; then config->access is NULL. */
PF_MUST_USE int pf_freeze_access(const struct pf_freeze *f);

/* privileges.c: user and groups, looked up. 0 or refused. */
PF_MUST_USE int pf_freeze_credentials(const struct pf_freeze *f);

/* log.c: log_file and syslog_*, access_log_path. 0 or refused. */
PF_MUST_USE int pf_freeze_log(const struct pf_freeze *f);

/* privileges.c: what is given up and handed over. Endpoints and user are settled before. 0
 * or refused. */
PF_MUST_USE int pf_freeze_privileges(const struct pf_freeze *f);

/* tls.c: certificates and keys of a port with protocol ssl, into e->tls. 0 or refused. */
struct pf_port;
PF_MUST_USE int pf_freeze_tls(const struct pf_port *p, struct pf_endpoint *e);

#endif
