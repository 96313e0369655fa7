/* Ports become endpoints.
 *
 * The address is read by net/endpoint.c; whatever else a socket needs comes from the
 * settings of the port itself or of the server (config/port.c). Owners are looked up here,
 * at start. */
#include "config/freeze.h"
#include "config/port.h"
#include "os/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Read socket_owner: user, user:group or :group. */
static int
freeze_owner(const struct pf_port *p, const char *text, struct pf_endpoint *e)
{
    unsigned index;
    enum pf_setting_id id = pf_port_said_by(p, PF_SETTING_SOCKET_OWNER, &index);
    const char *colon = strchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : strlen(text);
    char name[PF_CREDENTIAL_NAME_BYTES];
    struct pf_credential_user user;
    int r = 0;

    if (length >= sizeof name)
        return pf_freeze_refuse(p->f, id, index, EINVAL, "a name is too long");
    memcpy(name, text, length);
    name[length] = '\0';
    if (length > 0) {
        r = pf_freeze_user(p->f, id, index, name, &user);
        if (r == 0)
            e->owner = user.uid;
    }
    if (r == 0 && colon)
        r = pf_freeze_group(p->f, id, index, colon + 1, &e->group);
    return r;
}

/* Mode and owner of the path of a unix socket. */
static int
freeze_rights(const struct pf_port *p, struct pf_endpoint *e)
{
    const char *owner = pf_port_text(p, PF_SETTING_SOCKET_OWNER);
    int r;

    e->owner = (uid_t)-1;
    e->group = (gid_t)-1;
    r = owner ? freeze_owner(p, owner, e) : 0;
    if (r < 0)
        return r;
    if (!owner && p->f->config->recipe.drop_privileges) { /* handed over like other files */
        e->owner = p->f->config->recipe.uid;
        e->group = p->f->config->recipe.gid;
    }
    if (!pf_proto_is_unix(e->proto)) {
        e->owner = (uid_t)-1; /* they were looked at for mistakes only */
        e->group = (gid_t)-1;
        return 0;
    }
    e->has_mode = pf_port_is_set(p, PF_SETTING_SOCKET_MODE);
    e->mode = e->has_mode ? pf_port_number(p, PF_SETTING_SOCKET_MODE) : 0;
    return 0;
}

/* A program that accepts by itself knows of one socket for each port. */
static unsigned
shards(const struct pf_freeze *f)
{
    unsigned order = pf_settings_choice(f->settings, PF_SETTING_ACCEPT_ORDER);
    unsigned number = pf_settings_number(f->settings, PF_SETTING_SHARDS);

    if (order != PF_ACCEPT_SHARD || f->config->recipe.handler == PF_HANDLER_WAIT)
        return 1;
    return number > 0 ? number : pf_process_processors();
}

/* The environment says that there is no IPv6; a version that was asked for stands. */
static bool
is_without_ipv6(void)
{
    const char *no = getenv("NO_IPV6");

    return no && no[0] != '\0' && strcmp(no, "0") != 0;
}

/* What a port says for itself has to mean something to it. */
static int
refuse_idle(const struct pf_port *p, enum pf_proto proto)
{
    static const struct {
        enum pf_setting_id id;
        bool (*means)(enum pf_proto proto);
        const char *whom;
    } limited[] = {
        {PF_SETTING_SOCKET_MODE, pf_proto_is_unix, "unix and unixdgram"},
        {PF_SETTING_SOCKET_OWNER, pf_proto_is_unix, "unix and unixdgram"},
        {PF_SETTING_UDP_RECV_LEN, pf_proto_is_datagram, "udp and unixdgram"},
        {PF_SETTING_UDP_RECV_FLAGS, pf_proto_is_datagram, "udp and unixdgram"},
        {PF_SETTING_UDP_BROADCAST, pf_proto_is_datagram, "udp and unixdgram"},
    };

    for (size_t i = 0; i < PF_COUNT(limited); i++) {
        if (pf_port_has_own(p, limited[i].id) && !limited[i].means(proto))
            return pf_port_refuse(p, limited[i].id, EINVAL,
                                  "is for the protocols %s, and this is %s",
                                  limited[i].whom, pf_proto_name(proto));
    }
    return 0;
}

static int
parse(const struct pf_port *p, const char *host, const char *proto, const char *ipv,
      struct pf_endpoint *e, struct pf_error *error)
{
    *error = (struct pf_error){0};
    return pf_endpoint_parse(p->address, host, proto, ipv, e, error);
}

/* Which setting is to blame: a default without which the port would be fine, or the port.
 */
static enum pf_setting_id
find_culprit(const struct pf_port *p)
{
    const char *host = pf_port_text(p, PF_SETTING_HOST);
    const char *proto = pf_port_text(p, PF_SETTING_PROTO);
    const char *ipv = pf_port_text(p, PF_SETTING_IPV);
    struct pf_endpoint e = {0};
    struct pf_error error;

    if (parse(p, host, proto, NULL, &e, &error) == 0)
        return PF_SETTING_IPV;
    if (parse(p, host, NULL, ipv, &e, &error) == 0)
        return PF_SETTING_PROTO;
    if (parse(p, NULL, proto, ipv, &e, &error) == 0)
        return PF_SETTING_HOST;
    return PF_SETTING_PORT;
}

static int
freeze_address(const struct pf_port *p, struct pf_endpoint *e)
{
    enum pf_setting_id culprit;
    struct pf_error error;
    unsigned index = p->index;
    int r = parse(p, pf_port_text(p, PF_SETTING_HOST), pf_port_text(p, PF_SETTING_PROTO),
                  pf_port_text(p, PF_SETTING_IPV), e, &error);

    if (r == 0)
        return 0;
    culprit = find_culprit(p);
    if (culprit != PF_SETTING_PORT)
        culprit = pf_port_said_by(p, culprit, &index);
    return pf_freeze_refuse(p->f, culprit, index, -r, "%s", error.text);
}

static int
freeze_endpoint(const struct pf_freeze *f, unsigned index)
{
    struct pf_endpoint *e = &f->config->endpoints[index];
    struct pf_port p;
    int r;

    *e = (struct pf_endpoint){0};
    r = pf_port_read(&p, f, index);
    if (r == 0)
        r = freeze_address(&p, e);
    if (r == 0)
        r = refuse_idle(&p, e->proto);
    if (r < 0)
        return r;
    if (e->ipv == PF_IPV_ANY && !pf_proto_is_unix(e->proto) && is_without_ipv6())
        e->ipv = PF_IPV_4;
    e->backlog = (int)pf_port_number(&p, PF_SETTING_LISTEN);
    if (!pf_proto_is_datagram(e->proto))
        e->shards = shards(f);
    r = pf_freeze_datagrams(&p, e);
    if (r == 0)
        r = freeze_rights(&p, e);
    return r < 0 ? r : pf_freeze_tls(&p, e);
}

/* Tell about entries of a list that no port belongs to. */
static void
note_unpaired(const struct pf_freeze *f, enum pf_setting_id id, unsigned ports)
{
    unsigned count = pf_settings_item_count(f->settings, id);
    char buffer[PF_ERROR_TEXT_BYTES];
    struct pf_text t;

    for (unsigned i = ports; i < count && f->note; i++) {
        pf_text_init(&t, buffer, sizeof buffer);
        pf_text_add(&t, "%s: %s (", pf_setting_row(id)->key,
                    pf_settings_item(f->settings, id, i));
        pf_settings_add_origin(&t, f->settings, id, i);
        pf_text_add(&t, ") is not used: it would belong to port number %u, there are %u",
                    i + 1, ports);
        f->note(f->context, buffer);
    }
}

int
pf_freeze_endpoints(const struct pf_freeze *f)
{
    unsigned count = pf_settings_item_count(f->settings, PF_SETTING_PORT);
    int r = 0;

    if (count > PF_CONFIG_ENDPOINTS_MAX)
        return pf_freeze_refuse(f, PF_SETTING_PORT, PF_CONFIG_ENDPOINTS_MAX, EINVAL,
                                "more than %d ports", PF_CONFIG_ENDPOINTS_MAX);
    for (unsigned i = 0; i < count && r == 0; i++)
        r = freeze_endpoint(f, i);
    if (r == 0)
        r = pf_freeze_datagram_defaults(f);
    if (r < 0)
        return r;
    note_unpaired(f, PF_SETTING_HOST, count);
    note_unpaired(f, PF_SETTING_PROTO, count);
    note_unpaired(f, PF_SETTING_IPV, count);
    f->config->endpoint_count = count;
    f->config->endpoints_by_default = !pf_settings_is_set(f->settings, PF_SETTING_PORT);
    return 0;
}
