/* From settings to the values that the other rooms work with.
 *
 * The order is fixed: defaults as in the table, the environment's default for ipv, the
 * rules between settings (config/check.c), then one function for each room's value.
 * Whatever a name means outside of this process (users, groups) is looked up here, at
 * start, and never again.
 *
 * Freezing twice is fine: everything that was adapted is undone first. Nothing is opened
 * and nothing of the process changes. */
#include "config/config.h"

#include "base/text.h"
#include "config/check.h"
#include "config/privileges.h"
#include "config/setting.h"
#include "os/credential.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WORD_BYTES = 256, /* a user or group name in a list */
    SUBJECT_BYTES = 320,
};

#define SEPARATORS ", \t"

/* Freezing under way. */
struct freeze {
    struct pf_settings *settings;
    struct pf_config *config;
    pf_config_note *note;
    void *context;
    struct pf_error *error;
};

/* Refuse entry index of a setting: "x.conf:4: user: there is no user \"bob\"". */
PF_PRINTF(5, 6)
static int
refuse(const struct freeze *f, enum pf_setting_id id, unsigned index, int errnum,
       const char *format, ...)
{
    const struct pf_origin *origin = pf_settings_item_origin(f->settings, id, index);
    char subject_bytes[SUBJECT_BYTES];
    char what[PF_ERROR_TEXT_BYTES];
    struct pf_text subject;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args); /* cut is fine */
    va_end(args);
    pf_text_init(&subject, subject_bytes, sizeof subject_bytes);
    pf_origin_add_subject(&subject, origin, pf_setting_row(id)->key);
    return pf_error_set(f->error, PREFORK_EXIT_CONFIG, errnum, "%s: %s", subject_bytes,
                        what);
}

/* ---- users and groups ------------------------------------------------------------ */

static int
find_user(const struct freeze *f, enum pf_setting_id id, const char *name,
          struct pf_credential_user *ret_user)
{
    int r = pf_credential_user(name, ret_user);

    if (r == -ENOENT)
        return refuse(f, id, 0, EINVAL, "there is no user \"%s\"", name);
    if (r < 0)
        return refuse(f, id, 0, EINVAL, "user \"%s\": %s", name, strerror(-r));
    return 0;
}

static int
find_group(const struct freeze *f, enum pf_setting_id id, const char *name, gid_t *ret_gid)
{
    int r = pf_credential_group(name, ret_gid);

    if (r == -ENOENT)
        return refuse(f, id, 0, EINVAL, "there is no group \"%s\"", name);
    if (r < 0)
        return refuse(f, id, 0, EINVAL, "group \"%s\": %s", name, strerror(-r));
    return 0;
}

/* The groups that `group` lists, into config->groups. */
static int
freeze_group_list(const struct freeze *f)
{
    const char *s = pf_settings_text(f->settings, PF_SETTING_GROUP);
    struct pf_recipe *recipe = &f->config->recipe;
    char name[WORD_BYTES];
    size_t length;
    int r;

    for (s += strspn(s, SEPARATORS); *s != '\0'; s += length, s += strspn(s, SEPARATORS)) {
        length = strcspn(s, SEPARATORS);
        if (length >= sizeof name)
            return refuse(f, PF_SETTING_GROUP, 0, EINVAL, "a name is too long");
        if (recipe->group_count == PF_CONFIG_GROUPS_MAX)
            return refuse(f, PF_SETTING_GROUP, 0, EINVAL, "more than %d groups",
                          PF_CONFIG_GROUPS_MAX);
        memcpy(name, s, length);
        name[length] = '\0';
        r = find_group(f, PF_SETTING_GROUP, name, &f->config->groups[recipe->group_count]);
        if (r < 0)
            return r;
        recipe->group_count++;
    }
    if (recipe->group_count == 0)
        return refuse(f, PF_SETTING_GROUP, 0, EINVAL, "no group is named");
    recipe->gid = f->config->groups[0];
    return 0;
}

/* The groups that the user database gives to the user, into config->groups. */
static int
freeze_groups_of(const struct freeze *f, const struct pf_credential_user *user)
{
    struct pf_recipe *recipe = &f->config->recipe;

    if (!user->known)
        return refuse(f, PF_SETTING_USER, 0, EINVAL,
                      "user %s is not in the user database, so group must be set too",
                      user->name);
    recipe->gid = user->gid;
    if (pf_credential_groups_of(user, f->config->groups, PF_CONFIG_GROUPS_MAX,
                                &recipe->group_count) < 0)
        return refuse(f, PF_SETTING_USER, 0, EINVAL,
                      "user %s is in more than %d groups; set group to those needed",
                      user->name, PF_CONFIG_GROUPS_MAX);
    return 0;
}

static int
freeze_credentials(const struct freeze *f)
{
    const char *name = pf_settings_text(f->settings, PF_SETTING_USER);
    bool has_group = pf_settings_is_set(f->settings, PF_SETTING_GROUP);
    struct pf_recipe *recipe = &f->config->recipe;
    struct pf_credential_user user = {.uid = geteuid()};
    int r;

    recipe->drop_privileges = name || has_group;
    recipe->gid = getegid();
    recipe->groups = f->config->groups;
    recipe->group_count = 0;
    if (name) {
        r = find_user(f, PF_SETTING_USER, name, &user);
        if (r < 0)
            return r;
    }
    recipe->uid = user.uid;
    if (has_group)
        return freeze_group_list(f);
    return name ? freeze_groups_of(f, &user) : 0;
}

/* ---- endpoints ------------------------------------------------------------------- */

/* What all unix sockets have in common. */
struct socket_rights {
    bool has_mode;
    mode_t mode;
    uid_t owner;
    gid_t group;
};

/* Read socket_owner: user, user:group or :group. */
static int
freeze_owner(const struct freeze *f, const char *text, struct socket_rights *ret_rights)
{
    const enum pf_setting_id id = PF_SETTING_SOCKET_OWNER;
    const char *colon = strchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : strlen(text);
    struct pf_credential_user user;
    char name[WORD_BYTES];
    int r = 0;

    if (length >= sizeof name)
        return refuse(f, id, 0, EINVAL, "a name is too long");
    memcpy(name, text, length);
    name[length] = '\0';
    if (length > 0) {
        r = find_user(f, id, name, &user);
        if (r == 0)
            ret_rights->owner = user.uid;
    }
    if (r == 0 && colon)
        r = find_group(f, id, colon + 1, &ret_rights->group);
    return r;
}

static int
freeze_rights(const struct freeze *f, struct socket_rights *ret_rights)
{
    const char *owner = pf_settings_text(f->settings, PF_SETTING_SOCKET_OWNER);

    *ret_rights = (struct socket_rights){
        .has_mode = pf_settings_is_set(f->settings, PF_SETTING_SOCKET_MODE),
        .mode = pf_settings_number(f->settings, PF_SETTING_SOCKET_MODE),
        .owner = (uid_t)-1,
        .group = (gid_t)-1,
    };
    if (owner)
        return freeze_owner(f, owner, ret_rights);
    if (f->config->recipe.drop_privileges) { /* handed over like other files */
        ret_rights->owner = f->config->recipe.uid;
        ret_rights->group = f->config->recipe.gid;
    }
    return 0;
}

/* The entry that goes with a port's index: the last one serves all further ports. */
static const char *
paired(const struct freeze *f, enum pf_setting_id id, unsigned index)
{
    unsigned count = pf_settings_item_count(f->settings, id);

    return pf_settings_item(f->settings, id, index < count ? index : count - 1);
}

/* The environment says that there is no IPv6; a version that was asked for stands. */
static bool
is_without_ipv6(void)
{
    const char *no = getenv("NO_IPV6");

    return no && no[0] != '\0' && strcmp(no, "0") != 0;
}

static int
freeze_endpoint(const struct freeze *f, unsigned index, const struct socket_rights *rights)
{
    struct pf_endpoint *e = &f->config->endpoints[index];
    struct pf_error error = {0};
    int r;

    *e = (struct pf_endpoint){0};
    r = pf_endpoint_parse(pf_settings_item(f->settings, PF_SETTING_PORT, index),
                          paired(f, PF_SETTING_HOST, index),
                          paired(f, PF_SETTING_PROTO, index),
                          paired(f, PF_SETTING_IPV, index), e, &error);
    if (r < 0)
        return refuse(f, PF_SETTING_PORT, index, -r, "%s", error.text);
    if (e->ipv == PF_IPV_ANY && is_without_ipv6())
        e->ipv = PF_IPV_4;
    e->backlog = (int)pf_settings_number(f->settings, PF_SETTING_LISTEN);
    e->has_mode = e->proto == PF_PROTO_UNIX && rights->has_mode;
    e->mode = e->has_mode ? rights->mode : 0;
    e->owner = e->proto == PF_PROTO_UNIX ? rights->owner : (uid_t)-1;
    e->group = e->proto == PF_PROTO_UNIX ? rights->group : (gid_t)-1;
    return 0;
}

/* Tell about entries of a list that no port belongs to. */
static void
note_unpaired(const struct freeze *f, enum pf_setting_id id, unsigned ports)
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

static int
freeze_endpoints(const struct freeze *f)
{
    unsigned count = pf_settings_item_count(f->settings, PF_SETTING_PORT);
    struct socket_rights rights;
    int r;

    if (count > PF_CONFIG_ENDPOINTS_MAX)
        return refuse(f, PF_SETTING_PORT, PF_CONFIG_ENDPOINTS_MAX, EINVAL,
                      "more than %d ports", PF_CONFIG_ENDPOINTS_MAX);
    r = freeze_rights(f, &rights);
    for (unsigned i = 0; i < count && r == 0; i++)
        r = freeze_endpoint(f, i, &rights);
    if (r < 0)
        return r;
    note_unpaired(f, PF_SETTING_HOST, count);
    note_unpaired(f, PF_SETTING_PROTO, count);
    note_unpaired(f, PF_SETTING_IPV, count);
    f->config->endpoint_count = count;
    f->config->endpoints_by_default = !pf_settings_is_set(f->settings, PF_SETTING_PORT);
    return 0;
}

/* ---- pool, worker, daemon -------------------------------------------------------- */

/* A span where 0 means "no limit". */
static pf_time
limit(const struct pf_settings *s, enum pf_setting_id id)
{
    pf_time span = pf_settings_span(s, id);

    return span == 0 ? PF_NEVER : span;
}

static unsigned
recycling(const struct pf_settings *s)
{
    unsigned n = pf_settings_number(s, PF_SETTING_MAX_RECYCLING);

    if (n == 0)
        n = pf_settings_number(s, PF_SETTING_MAX_SERVERS) / 10;
    return n > 0 ? n : 1;
}

static unsigned
smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* With sizing static, values that were set for another sizing may still stand there. */
static void
fix_size(struct pf_policy *p)
{
    p->min_servers = p->max_servers;
    p->max_spare_servers = smaller(p->max_spare_servers, p->max_servers);
    p->min_spare_servers = smaller(p->min_spare_servers, p->max_spare_servers);
}

static struct pf_policy
make_policy(const struct pf_settings *s)
{
    struct pf_policy policy = {
        .sizing = (enum pf_sizing)pf_settings_choice(s, PF_SETTING_SIZING),
        .min_servers = pf_settings_number(s, PF_SETTING_MIN_SERVERS),
        .min_spare_servers = pf_settings_number(s, PF_SETTING_MIN_SPARE_SERVERS),
        .max_spare_servers = pf_settings_number(s, PF_SETTING_MAX_SPARE_SERVERS),
        .max_servers = pf_settings_number(s, PF_SETTING_MAX_SERVERS),
        .max_recycling = recycling(s),
        .check_for_waiting = pf_settings_span(s, PF_SETTING_CHECK_FOR_WAITING),
        .spare_timeout = pf_settings_span(s, PF_SETTING_SPARE_TIMEOUT),
        .min_child_ttl = pf_settings_span(s, PF_SETTING_MIN_CHILD_TTL),
        .check_for_spawn = pf_settings_span(s, PF_SETTING_CHECK_FOR_SPAWN),
        .start_timeout = limit(s, PF_SETTING_START_TIMEOUT),
        .request_timeout = limit(s, PF_SETTING_REQUEST_TIMEOUT),
        .graceful_timeout = pf_settings_span(s, PF_SETTING_GRACEFUL_TIMEOUT),
        .stop_timeout = pf_settings_span(s, PF_SETTING_STOP_TIMEOUT),
        .kill_timeout = pf_settings_span(s, PF_SETTING_KILL_TIMEOUT),
    };

    if (policy.sizing == PF_SIZING_STATIC)
        fix_size(&policy);
    return policy;
}

static void
freeze_recipe(const struct pf_settings *s, struct pf_recipe *recipe)
{
    unsigned order = pf_settings_choice(s, PF_SETTING_ACCEPT_ORDER);

    recipe->accept_order = (enum pf_accept_order)order;
    recipe->client_stdio = !pf_settings_flag(s, PF_SETTING_NO_CLIENT_STDOUT);
    recipe->max_requests = pf_settings_number(s, PF_SETTING_MAX_REQUESTS);
    recipe->max_requests_jitter = pf_settings_number(s, PF_SETTING_MAX_REQUESTS_JITTER);
}

static struct pf_daemon
make_daemon(const struct pf_settings *s)
{
    bool setsid_too = pf_settings_flag(s, PF_SETTING_SETSID);

    return (struct pf_daemon){
        .background = setsid_too || pf_settings_flag(s, PF_SETTING_BACKGROUND),
        .setsid = setsid_too,
        .require_root = pf_settings_flag(s, PF_SETTING_REQUIRE_ROOT),
        .pid_file = pf_settings_text(s, PF_SETTING_PID_FILE),
        .log_file = pf_settings_text(s, PF_SETTING_LOG_FILE),
        .log_level = (int)pf_settings_number(s, PF_SETTING_LOG_LEVEL),
    };
}

/* The environment's default for ipv, if nobody set it. */
static int
adapt_ipv(const struct freeze *f)
{
    const char *ipv = getenv("IPV");

    if (!ipv || ipv[0] == '\0' || pf_settings_is_set(f->settings, PF_SETTING_IPV))
        return 0;
    return pf_settings_adapt(f->settings, PF_SETTING_IPV, ipv, "from environment IPV",
                             f->error);
}

int
pf_config_freeze(struct pf_settings *settings, struct pf_config *config,
                 pf_config_note *note, void *context, struct pf_error *error)
{
    const struct freeze f = {settings, config, note, context, error};
    int r;

    if (note)
        pf_settings_tell_foreign(settings, note, context);
    r = pf_settings_restore(settings, error);
    if (r == 0)
        r = adapt_ipv(&f);
    if (r == 0)
        r = pf_check_settings(settings, config->recipe.handler, note, context, error);
    if (r == 0)
        r = freeze_credentials(&f);
    if (r == 0)
        r = freeze_endpoints(&f);
    config->daemon = make_daemon(settings);
    if (r == 0)
        r = pf_privileges_freeze(settings, config, note, context, error);
    if (r < 0)
        return r;
    config->policy = make_policy(settings);
    freeze_recipe(settings, &config->recipe);
    return 0;
}

/* ---- printing -------------------------------------------------------------------- */

/* A value in the grammar of the file, where # begins a comment unless a \ is before it, and
 * one pair of quotes around a value is taken off. */
static void
print_value(FILE *to, const char *value)
{
    const char *quote = *value == '"' || *value == '\'' ? "\"" : "";

    if (value[0] == '=' || value[0] == ':')
        (void)fprintf(to, "= ");
    (void)fprintf(to, "%s", quote);
    for (; *value != '\0'; value++)
        (void)fprintf(to, *value == '#' ? "\\%c" : "%c", *value);
    (void)fprintf(to, "%s", quote);
}

static void
print_item(const struct pf_settings *s, enum pf_setting_id id, unsigned index, FILE *to)
{
    char buffer[SUBJECT_BYTES];
    struct pf_text origin;

    pf_text_init(&origin, buffer, sizeof buffer);
    pf_settings_add_origin(&origin, s, id, index);
    /* A file that names a file would be refused when it is loaded. */
    (void)fprintf(to, "%s%s ", id == PF_SETTING_CONF_FILE ? "# " : "",
                  pf_setting_row(id)->key);
    print_value(to, pf_settings_item(s, id, index));
    (void)fprintf(to, "  # %s\n", buffer);
}

void
pf_config_print(const struct pf_settings *settings, FILE *to)
{
    for (unsigned i = 0; i < PF_SETTING_COUNT_OF; i++) {
        enum pf_setting_id id = (enum pf_setting_id)i;
        unsigned count = pf_settings_item_count(settings, id);

        if (count == 0)
            (void)fprintf(to, "# %s is not set\n", pf_setting_row(id)->key);
        for (unsigned k = 0; k < count; k++)
            print_item(settings, id, k, to);
    }
}
