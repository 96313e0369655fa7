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
#include "config/freeze.h"
#include "config/setting.h"
#include "net/tls.h"
#include "os/credential.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WORD_BYTES = 256, /* a user or group name in a list */
};

#define SEPARATORS ", \t"

int
pf_freeze_refuse(const struct pf_freeze *f, enum pf_setting_id id, unsigned index,
                 int errnum, const char *format, ...)
{
    const struct pf_origin *origin = pf_settings_item_origin(f->settings, id, index);
    char subject_bytes[WORD_BYTES];
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

int
pf_freeze_user(const struct pf_freeze *f, enum pf_setting_id id, unsigned index,
               const char *name, struct pf_credential_user *ret_user)
{
    int r = pf_credential_user(name, ret_user);

    if (r == -ENOENT)
        return pf_freeze_refuse(f, id, index, EINVAL, "there is no user \"%s\"", name);
    if (r < 0)
        return pf_freeze_refuse(f, id, index, EINVAL, "user \"%s\": %s", name,
                                strerror(-r));
    return 0;
}

int
pf_freeze_group(const struct pf_freeze *f, enum pf_setting_id id, unsigned index,
                const char *name, gid_t *ret_gid)
{
    int r = pf_credential_group(name, ret_gid);

    if (r == -ENOENT)
        return pf_freeze_refuse(f, id, index, EINVAL, "there is no group \"%s\"", name);
    if (r < 0)
        return pf_freeze_refuse(f, id, index, EINVAL, "group \"%s\": %s", name,
                                strerror(-r));
    return 0;
}

/* The groups that `group` lists, into config->groups. */
static int
freeze_group_list(const struct pf_freeze *f)
{
    const char *s = pf_settings_text(f->settings, PF_SETTING_GROUP);
    struct pf_recipe *recipe = &f->config->recipe;
    char name[WORD_BYTES];
    size_t length;
    int r;

    for (s += strspn(s, SEPARATORS); *s != '\0'; s += length, s += strspn(s, SEPARATORS)) {
        length = strcspn(s, SEPARATORS);
        if (length >= sizeof name)
            return pf_freeze_refuse(f, PF_SETTING_GROUP, 0, EINVAL, "a name is too long");
        if (recipe->group_count == PF_CONFIG_GROUPS_MAX)
            return pf_freeze_refuse(f, PF_SETTING_GROUP, 0, EINVAL, "more than %d groups",
                                    PF_CONFIG_GROUPS_MAX);
        memcpy(name, s, length);
        name[length] = '\0';
        r = pf_freeze_group(f, PF_SETTING_GROUP, 0, name,
                            &f->config->groups[recipe->group_count]);
        if (r < 0)
            return r;
        recipe->group_count++;
    }
    if (recipe->group_count == 0)
        return pf_freeze_refuse(f, PF_SETTING_GROUP, 0, EINVAL, "no group is named");
    recipe->gid = f->config->groups[0];
    return 0;
}

/* The groups that the user database gives to the user, into config->groups. */
static int
freeze_groups_of(const struct pf_freeze *f, const struct pf_credential_user *user)
{
    struct pf_recipe *recipe = &f->config->recipe;

    if (!user->known)
        return pf_freeze_refuse(
            f, PF_SETTING_USER, 0, EINVAL,
            "user %s is not in the user database, so group must be set too", user->name);
    recipe->gid = user->gid;
    if (pf_credential_groups_of(user, f->config->groups, PF_CONFIG_GROUPS_MAX,
                                &recipe->group_count) < 0)
        return pf_freeze_refuse(
            f, PF_SETTING_USER, 0, EINVAL,
            "user %s is in more than %d groups; set group to those needed", user->name,
            PF_CONFIG_GROUPS_MAX);
    return 0;
}

static int
freeze_credentials(const struct pf_freeze *f)
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
        r = pf_freeze_user(f, PF_SETTING_USER, 0, name, &user);
        if (r < 0)
            return r;
    }
    recipe->uid = user.uid;
    if (has_group)
        return freeze_group_list(f);
    return name ? freeze_groups_of(f, &user) : 0;
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
adapt_ipv(const struct pf_freeze *f)
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
    const struct pf_freeze f = {settings, config, note, context, error};
    int r;

    r = pf_settings_restore(settings, error);
    if (r == 0)
        r = adapt_ipv(&f);
    if (r == 0)
        r = pf_check_settings(settings, config->recipe.handler, note, context, error);
    if (r == 0)
        r = pf_freeze_endpoints(&f);
    if (r == 0)
        r = freeze_credentials(&f);
    if (r < 0)
        return r;
    config->policy = make_policy(settings);
    config->daemon = make_daemon(settings);
    freeze_recipe(settings, &config->recipe);
    return 0;
}

void
pf_config_close(struct pf_config *config)
{
    for (unsigned i = 0; i < PF_CONFIG_ENDPOINTS_MAX; i++)
        pf_tls_close(config->endpoints[i].tls);
    *config = (struct pf_config){0};
}

/* ---- printing -------------------------------------------------------------------- */

/* A value in the grammar of the file, where # begins a comment unless a \ is before it. */
static void
print_value(FILE *to, const char *value)
{
    if (value[0] == '=' || value[0] == ':')
        (void)fprintf(to, "= ");
    for (; *value != '\0'; value++)
        (void)fprintf(to, *value == '#' ? "\\%c" : "%c", *value);
}

static void
print_item(const struct pf_settings *s, enum pf_setting_id id, unsigned index, FILE *to)
{
    char buffer[WORD_BYTES];
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
