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
#include "config/alone.h"
#include "config/check.h"
#include "config/freeze.h"
#include "config/setting.h"
#include "config/signals.h"
#include "config/type.h"
#include "net/access.h"
#include "net/tls.h"
#include "os/credential.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORD_BYTES = 256, /* an origin */
    SUBJECT_BYTES = 320,
};

int
pf_freeze_refuse(const struct pf_freeze *f, enum pf_setting_id id, unsigned index,
                 int errnum, const char *format, ...)
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

/* ---- pool, worker, daemon -------------------------------------------------------- */

/* A span where 0 means "no limit". */
static pf_time
limit(const struct pf_settings *s, enum pf_setting_id id)
{
    pf_time span = pf_settings_span(s, id);

    return span == 0 ? PF_NEVER : span;
}

static unsigned
smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
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
surge(const struct pf_settings *s, unsigned max_servers)
{
    unsigned n = pf_settings_number(s, PF_SETTING_RELOAD_SURGE);

    return n > 0 ? smaller(n, max_servers) : max_servers / 4 + (max_servers % 4 > 0);
}

/* Values that were set for another sizing may still stand there. */
static void
fit_sizing(struct pf_policy *p)
{
    if (p->sizing == PF_SIZING_STATIC)
        p->min_servers = p->max_servers;
    if (p->sizing == PF_SIZING_ONDEMAND)
        p->min_servers = p->min_spare_servers = 0;
    p->max_spare_servers = smaller(p->max_spare_servers, p->max_servers);
    p->min_spare_servers = smaller(p->min_spare_servers, p->max_spare_servers);
}

static struct pf_policy
make_policy(const struct pf_settings *s, enum pf_server_type type)
{
    struct pf_policy policy = {
        .sizing = (enum pf_sizing)pf_settings_choice(s, PF_SETTING_SIZING),
        .min_servers = pf_settings_number(s, PF_SETTING_MIN_SERVERS),
        .min_spare_servers = pf_settings_number(s, PF_SETTING_MIN_SPARE_SERVERS),
        .max_spare_servers = pf_settings_number(s, PF_SETTING_MAX_SPARE_SERVERS),
        .max_servers = pf_settings_number(s, PF_SETTING_MAX_SERVERS),
        .max_recycling = recycling(s),
        .leave_children_open = pf_settings_flag(s, PF_SETTING_LEAVE_CHILDREN_OPEN_ON_HUP),
        .check_for_waiting = pf_settings_span(s, PF_SETTING_CHECK_FOR_WAITING),
        .spare_timeout = pf_settings_span(s, PF_SETTING_SPARE_TIMEOUT),
        .min_child_ttl = pf_settings_span(s, PF_SETTING_MIN_CHILD_TTL),
        .check_for_spawn = pf_settings_span(s, PF_SETTING_CHECK_FOR_SPAWN),
        .check_for_dequeue = limit(s, PF_SETTING_CHECK_FOR_DEQUEUE),
        .reload_timeout = limit(s, PF_SETTING_RELOAD_TIMEOUT),
        .start_timeout = limit(s, PF_SETTING_START_TIMEOUT),
        .ready_delay = limit(s, PF_SETTING_READY_DELAY),
        .request_timeout = limit(s, PF_SETTING_REQUEST_TIMEOUT),
        .graceful_timeout = pf_settings_span(s, PF_SETTING_GRACEFUL_TIMEOUT),
        .stop_timeout = pf_settings_span(s, PF_SETTING_STOP_TIMEOUT),
        .kill_timeout = pf_settings_span(s, PF_SETTING_KILL_TIMEOUT),
    };

    policy.single = type == PF_SERVER_SINGLE;
    if (policy.single)
        policy.max_servers = 1;
    policy.reload_surge = surge(s, policy.max_servers);
    if (type == PF_SERVER_FORK)
        policy.max_recycling = policy.max_servers; /* every connection is the last */
    fit_sizing(&policy);
    return policy;
}

/* Dequeue processes need to be wanted, and a function to run. */
static void
freeze_dequeue(const struct pf_freeze *f)
{
    const struct pf_recipe *recipe = &f->config->recipe;
    struct pf_policy *policy = &f->config->policy;
    bool wanted = policy->check_for_dequeue != PF_NEVER;

    policy->max_dequeue = 0;
    if (f->config->daemon.alone)
        return; /* nothing is forked, which was told */
    if (wanted && recipe->app.dequeue && recipe->handler != PF_HANDLER_WAIT)
        policy->max_dequeue = pf_settings_number(f->settings, PF_SETTING_MAX_DEQUEUE);
    else if (wanted && f->note)
        f->note(f->context,
                "check_for_dequeue: without effect, because there is no dequeue "
                "function");
}

static int
freeze_passthrough(const struct pf_freeze *f)
{
    const enum pf_setting_id id = PF_SETTING_SIG_PASSTHROUGH;
    uint64_t *set = &f->config->recipe.passthrough;

    *set = 0;
    for (unsigned i = 0; i < pf_settings_item_count(f->settings, id); i++) {
        struct pf_error error = {0};
        int r = pf_signals_parse(pf_settings_item(f->settings, id, i), set, &error);
        if (r < 0)
            return pf_freeze_refuse(f, id, i, -r, "%s", error.text);
    }
    return 0;
}

static void
freeze_recipe(const struct pf_settings *s, enum pf_server_type type,
              struct pf_recipe *recipe)
{
    unsigned order = pf_settings_choice(s, PF_SETTING_ACCEPT_ORDER);

    recipe->accept_order = (enum pf_accept_order)order;
    recipe->child_communication = pf_settings_flag(s, PF_SETTING_CHILD_COMMUNICATION);
    recipe->no_close_by_child = pf_settings_flag(s, PF_SETTING_NO_CLOSE_BY_CHILD);
    recipe->client_stdio = !pf_settings_flag(s, PF_SETTING_NO_CLIENT_STDOUT);
    recipe->max_requests = pf_settings_number(s, PF_SETTING_MAX_REQUESTS);
    recipe->max_requests_jitter = pf_settings_number(s, PF_SETTING_MAX_REQUESTS_JITTER);
    recipe->serialize = (enum pf_turn_kind)pf_settings_choice(s, PF_SETTING_SERIALIZE);
    if (type == PF_SERVER_FORK)
        recipe->max_requests = 1;
    if (pf_alone_is_wanted(s, type)) {
        recipe->child_communication = false; /* with whom? */
        recipe->serialize = PF_TURN_NONE;    /* against whom? */
    }
    if (recipe->handler == PF_HANDLER_WAIT)
        recipe->serialize = PF_TURN_NONE; /* the program's own affair */
}

static struct pf_daemon
make_daemon(const struct pf_settings *s)
{
    bool setsid_too = pf_settings_flag(s, PF_SETTING_SETSID);

    return (struct pf_daemon){
        .background = setsid_too || pf_settings_flag(s, PF_SETTING_BACKGROUND),
        .setsid = setsid_too,
        .keeper = pf_settings_flag(s, PF_SETTING_KEEPER),
        .fdstore = pf_settings_flag(s, PF_SETTING_FDSTORE),
        .reload_workers = pf_settings_choice(s, PF_SETTING_RELOAD_MODE) == 1,
        .require_root = pf_settings_flag(s, PF_SETTING_REQUIRE_ROOT),
        .pid_file = pf_settings_text(s, PF_SETTING_PID_FILE),
        .lock_file = pf_settings_text(s, PF_SETTING_LOCK_FILE),
        .scoreboard_path = pf_settings_text(s, PF_SETTING_SCOREBOARD_PATH),
        .log_level = (int)pf_settings_number(s, PF_SETTING_LOG_LEVEL),
    };
}

/* One process that does all by itself has nobody to show; config/alone.c tells of a server
 * without workers. */
static void
freeze_scoreboard(const struct pf_freeze *f)
{
    struct pf_daemon *daemon = &f->config->daemon;

    if (!(daemon->inet || daemon->alone) || !daemon->scoreboard_path)
        return;
    daemon->scoreboard_path = NULL;
    if (f->note && daemon->inet)
        f->note(f->context, "scoreboard_path: not used with server_type INET");
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
    enum pf_server_type type = PF_SERVER_PREFORK;
    int r;

    if (note)
        pf_settings_tell_foreign(settings, note, context);
    r = pf_settings_restore(settings, error);
    if (r == 0)
        r = adapt_ipv(&f);
    if (r == 0)
        r = pf_type_choose(settings, &type, note, context, error);
    if (r == 0)
        r = pf_check_settings(settings, type, config->recipe.handler, note, context, error);
    if (r == 0)
        r = pf_freeze_credentials(&f);
    if (r == 0)
        r = pf_freeze_endpoints(&f);
    if (r == 0)
        r = freeze_passthrough(&f);
    config->daemon = make_daemon(settings);
    if (r == 0)
        r = pf_freeze_privileges(&f);
    if (r == 0)
        r = pf_freeze_access(&f);
    if (r == 0)
        r = pf_freeze_log(&f);
    if (r < 0)
        return r;
    config->settings = settings;
    config->policy = make_policy(settings, type);
    config->daemon.alone = pf_alone_is_wanted(settings, type);
    config->reload.every = limit(settings, PF_SETTING_AUTO_RELOAD_CHECK_EVERY);
    freeze_dequeue(&f);
    r = pf_freeze_departures(&f, type);
    if (type == PF_SERVER_INET)
        config->daemon.background = config->daemon.setsid = false;
    config->daemon.inet = type == PF_SERVER_INET;
    if (config->daemon.inet || config->daemon.alone)
        config->daemon.keeper = config->daemon.fdstore = false;
    freeze_scoreboard(&f);
    freeze_recipe(settings, type, &config->recipe);
    return r;
}

void
pf_config_close(struct pf_config *config)
{
    if (config->access)
        pf_access_deinit(config->access);
    free(config->access);
    for (unsigned i = 0; i < PF_CONFIG_ENDPOINTS_MAX; i++)
        pf_tls_close(config->endpoints[i].tls);
    *config = (struct pf_config){0};
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
