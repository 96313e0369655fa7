/* Rules between settings.
 *
 * One idea: what somebody set stands, and defaults move out of its way. So setting one
 * number never breaks a server, and only two numbers that were both set can contradict
 * each other. The steps have an order, from the value that everything depends on to the
 * one that nothing depends on, and each step looks only at values that are settled:
 *
 *     type -> sizing -> max_servers -> min_servers -> max_spare_servers
 *                                                       -> min_spare_servers
 *
 *  - type:        gives defaults of its own; what it does not use was not set;
 *  - sizing:      a program that accepts by itself has a pool of fixed size;
 *  - refuse:      pairs that were both set and contradict each other;
 *  - max_servers: up to the largest that was set among the others, or, in a pool of
 *                 fixed size, to min_servers;
 *  - min_servers: down to max_servers, up to min_spare_servers; 0 on demand;
 *  - max_spare:   down to max_servers, up to min_spare_servers;
 *  - min_spare:   down to max_spare_servers and min_servers; 0 on demand;
 *  - ready_delay: of a program that accepts by itself: below start_timeout and
 *                 reload_timeout.
 *
 * A server without workers (min_servers 0, config/alone.h) has no pool to be settled.
 * Apart from these, tie_client_stdout is the other name of a no_client_stdout that is off.
 *
 * Because pairs were refused before, a step that finds a value in its way finds a
 * default. In a pool of fixed size spares mean nothing: there they break no rule. */
#include "config/check.h"

#include "base/text.h"
#include "config/alone.h"
#include "config/setting.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    NUMBER_BYTES = 24,
    SENTENCE_BYTES = 384,
};

struct check {
    struct pf_settings *settings;
    enum pf_server_type type;
    enum pf_handler handler;
    pf_config_note *note;
    void *context;
    struct pf_error *error;
};

/* ---- small words ----------------------------------------------------------------- */

/* Somebody set it, and it means something. */
static bool
is_set(const struct check *c, enum pf_setting_id id)
{
    return pf_settings_is_set(c->settings, id) && pf_type_uses(c->type, id);
}

/* Nobody set it, and it means something: it may be adapted. */
static bool
is_free(const struct check *c, enum pf_setting_id id)
{
    return !pf_settings_is_set(c->settings, id) && pf_type_uses(c->type, id);
}

static unsigned
number(const struct check *c, enum pf_setting_id id)
{
    return pf_settings_number(c->settings, id);
}

static bool
is_sizing(const struct check *c, enum pf_sizing sizing)
{
    return pf_settings_choice(c->settings, PF_SETTING_SIZING) == (unsigned)sizing;
}

/* The key, value and origin of a setting: "max_servers 3 (x.conf:4)". */
static void
add_setting(struct pf_text *t, const struct check *c, enum pf_setting_id id)
{
    pf_text_add(t, "%s %s (", pf_setting_row(id)->key, pf_settings_text(c->settings, id));
    pf_settings_add_origin(t, c->settings, id, 0);
    pf_text_add(t, ")");
}

/* Two settings contradict each other. */
static int
refuse(const struct check *c, enum pf_setting_id a, const char *relation,
       enum pf_setting_id b)
{
    char buffer[PF_ERROR_TEXT_BYTES];
    struct pf_text t;

    pf_text_init(&t, buffer, sizeof buffer);
    add_setting(&t, c, a);
    pf_text_add(&t, " %s ", relation);
    add_setting(&t, c, b);
    return pf_error_set(c->error, PREFORK_EXIT_CONFIG, EINVAL, "%s", buffer);
}

/* Give a default another value and tell why: because names it in the note, why in the
 * origin that is printed. */
static int
adapt(const struct check *c, enum pf_setting_id id, const char *value, const char *verb,
      const char *because, const char *why)
{
    char buffer[SENTENCE_BYTES];
    struct pf_text t;
    int r;

    pf_text_init(&t, buffer, sizeof buffer);
    pf_text_add(&t, "%s: %s %s to %s because %s", pf_setting_row(id)->key,
                pf_settings_text(c->settings, id), verb, value, because);
    r = pf_settings_adapt(c->settings, id, value, why, c->error);
    if (r == 0 && c->note)
        c->note(c->context, buffer);
    return r;
}

/* Move the default of a number because of another setting; nothing if it is there. */
static int
move(const struct check *c, enum pf_setting_id id, unsigned to, enum pf_setting_id because)
{
    unsigned from = number(c, id);
    const char *cause = pf_setting_row(because)->key;
    char value[NUMBER_BYTES];
    char why[SENTENCE_BYTES];
    char buffer[SENTENCE_BYTES];
    struct pf_text reason;

    if (from == to)
        return 0;
    (void)snprintf(value, sizeof value, "%u", to);
    (void)snprintf(why, sizeof why, "adapted to %s", cause);
    pf_text_init(&reason, buffer, sizeof buffer);
    pf_text_add(&reason, "%s is %s (", cause, pf_settings_text(c->settings, because));
    pf_settings_add_origin(&reason, c->settings, because, 0);
    pf_text_add(&reason, ")");
    return adapt(c, id, value, to < from ? "lowered" : "raised", buffer, why);
}

static int
move_down(const struct check *c, enum pf_setting_id id, enum pf_setting_id limit)
{
    return number(c, id) > number(c, limit) ? move(c, id, number(c, limit), limit) : 0;
}

static int
move_up(const struct check *c, enum pf_setting_id id, enum pf_setting_id floor)
{
    return number(c, id) < number(c, floor) ? move(c, id, number(c, floor), floor) : 0;
}

/* ---- contradictions -------------------------------------------------------------- */

/* Both were set, and small is greater than large. */
static int
refuse_pair(const struct check *c, enum pf_setting_id small, enum pf_setting_id large)
{
    if (is_set(c, small) && is_set(c, large) && number(c, small) > number(c, large))
        return refuse(c, small, "is more than", large);
    return 0;
}

/* What was set above zero cannot go with a pool that is empty when quiet. */
static int
refuse_on_demand(const struct check *c, enum pf_setting_id id)
{
    if (is_set(c, id) && number(c, id) > 0)
        return refuse(c, id, "must be 0 with", PF_SETTING_SIZING);
    return 0;
}

static int
refuse_numbers(const struct check *c)
{
    static const struct {
        enum pf_setting_id small;
        enum pf_setting_id large;
    } pairs[] = {
        {PF_SETTING_MIN_SERVERS, PF_SETTING_MAX_SERVERS},
        {PF_SETTING_MAX_SPARE_SERVERS, PF_SETTING_MAX_SERVERS},
        {PF_SETTING_MIN_SPARE_SERVERS, PF_SETTING_MAX_SERVERS},
        {PF_SETTING_MIN_SPARE_SERVERS, PF_SETTING_MAX_SPARE_SERVERS},
    };
    size_t count = is_sizing(c, PF_SIZING_STATIC) ? 1 : PF_COUNT(pairs);
    int r = 0;

    for (size_t i = 0; i < count && r == 0; i++)
        r = refuse_pair(c, pairs[i].small, pairs[i].large);
    return r;
}

static int
refuse_by_sizing(const struct check *c)
{
    int r;

    if (is_sizing(c, PF_SIZING_ONDEMAND)) {
        r = refuse_on_demand(c, PF_SETTING_MIN_SERVERS);
        return r < 0 ? r : refuse_on_demand(c, PF_SETTING_MIN_SPARE_SERVERS);
    }
    if (is_sizing(c, PF_SIZING_DYNAMIC))
        return refuse_pair(c, PF_SETTING_MIN_SPARE_SERVERS, PF_SETTING_MIN_SERVERS);
    return 0;
}

/* ---- the steps ------------------------------------------------------------------- */

static void
note_unused(const struct check *c, enum pf_setting_id id)
{
    char buffer[SENTENCE_BYTES];
    struct pf_text t;

    if (!pf_settings_is_set(c->settings, id) || pf_type_uses(c->type, id) || !c->note)
        return;
    pf_text_init(&t, buffer, sizeof buffer);
    add_setting(&t, c, id);
    pf_text_add(&t, " is not used with server_type %s", pf_type_name(c->type));
    c->note(c->context, buffer);
}

/* A type gives a setting that nobody set another default. */
static int
adapt_to_type(const struct check *c, enum pf_setting_id id, const char *value)
{
    char why[SENTENCE_BYTES];

    if (!value || pf_settings_is_set(c->settings, id))
        return 0;
    (void)snprintf(why, sizeof why, "as server_type %s has it", pf_type_name(c->type));
    return pf_settings_adapt(c->settings, id, value, why, c->error);
}

/* Types without a pool that waits for connections are for functions and programs that are
 * given one. */
static int
refuse_handler(const struct check *c)
{
    bool waits = c->handler == PF_HANDLER_WAIT || c->handler == PF_HANDLER_MAIN_LOOP;

    if (!waits || (c->type != PF_SERVER_FORK && c->type != PF_SERVER_INET))
        return 0;
    return pf_error_set(c->error, PREFORK_EXIT_CONFIG, EINVAL,
                        "server_type %s gives each process one connection, but %s accepts "
                        "by itself; use PreFork",
                        pf_type_name(c->type),
                        c->handler == PF_HANDLER_WAIT ? "the program" : "main_loop");
}

static int
settle_type(const struct check *c)
{
    const struct pf_type_rules *rules = pf_type_rules(c->type);
    int r = refuse_handler(c);

    for (unsigned id = 0; id < PF_SETTING_COUNT_OF; id++)
        note_unused(c, (enum pf_setting_id)id);
    if (r == 0)
        r = adapt_to_type(c, PF_SETTING_SIZING, rules->sizing);
    if (r == 0 && rules->sizing &&
        strcmp(pf_settings_text(c->settings, PF_SETTING_SIZING), rules->sizing) != 0)
        return refuse(c, PF_SETTING_SIZING, "cannot go with", PF_SETTING_SERVER_TYPE);
    if (r == 0)
        r = adapt_to_type(c, PF_SETTING_MAX_SERVERS, rules->max_servers);
    if (r == 0)
        r = adapt_to_type(c, PF_SETTING_MAX_REQUESTS, rules->max_requests);
    return r < 0 ? r
                 : adapt_to_type(c, PF_SETTING_NO_CLIENT_STDOUT, rules->no_client_stdout);
}

static int
settle_sizing(const struct check *c)
{
    char buffer[SENTENCE_BYTES];
    struct pf_text t;

    if (c->handler != PF_HANDLER_WAIT || is_sizing(c, PF_SIZING_STATIC))
        return 0;
    if (!is_set(c, PF_SETTING_SIZING))
        return adapt(c, PF_SETTING_SIZING, "static", "changed",
                     "a program that accepts by itself has a pool of fixed size",
                     "adapted to handler wait");
    pf_text_init(&t, buffer, sizeof buffer);
    add_setting(&t, c, PF_SETTING_SIZING);
    return pf_error_set(c->error, PREFORK_EXIT_CONFIG, EINVAL,
                        "%s: a program that accepts by itself (handler wait) has a pool of "
                        "fixed size; leave sizing out or set it to static",
                        buffer);
}

/* The setting with the largest number among those that were set and max_servers. */
static enum pf_setting_id
largest(const struct check *c)
{
    static const enum pf_setting_id others[] = {
        PF_SETTING_MIN_SERVERS,
        PF_SETTING_MIN_SPARE_SERVERS,
        PF_SETTING_MAX_SPARE_SERVERS,
    };
    enum pf_setting_id id = PF_SETTING_MAX_SERVERS;

    for (size_t i = 0; i < PF_COUNT(others); i++) {
        if (is_set(c, others[i]) && number(c, others[i]) > number(c, id))
            id = others[i];
    }
    return id;
}

static int
settle_max(const struct check *c)
{
    enum pf_setting_id id = PF_SETTING_MAX_SERVERS;

    if (!is_free(c, id))
        return 0;
    if (!is_sizing(c, PF_SIZING_STATIC))
        id = largest(c);
    else if (is_set(c, PF_SETTING_MIN_SERVERS) ||
             (c->handler == PF_HANDLER_WAIT && is_free(c, PF_SETTING_MIN_SERVERS)))
        id = PF_SETTING_MIN_SERVERS;
    return move(c, PF_SETTING_MAX_SERVERS, number(c, id), id);
}

static int
settle_min(const struct check *c)
{
    const enum pf_setting_id id = PF_SETTING_MIN_SERVERS;
    int r;

    if (!is_free(c, id))
        return 0;
    if (is_sizing(c, PF_SIZING_ONDEMAND))
        return adapt(c, id, "0", "lowered", "sizing is ondemand", "adapted to sizing");
    if (is_sizing(c, PF_SIZING_STATIC))
        return move(c, id, number(c, PF_SETTING_MAX_SERVERS), PF_SETTING_MAX_SERVERS);
    r = move_down(c, id, PF_SETTING_MAX_SERVERS);
    if (r == 0 && is_set(c, PF_SETTING_MIN_SPARE_SERVERS))
        r = move_up(c, id, PF_SETTING_MIN_SPARE_SERVERS);
    return r;
}

/* Nothing has to be done about a spare that was set, or that means nothing. */
static bool
is_settled_spare(const struct check *c, enum pf_setting_id id)
{
    return !is_free(c, id) || is_sizing(c, PF_SIZING_STATIC);
}

static int
settle_max_spare(const struct check *c)
{
    const enum pf_setting_id id = PF_SETTING_MAX_SPARE_SERVERS;
    int r;

    if (is_settled_spare(c, id))
        return 0;
    r = move_down(c, id, PF_SETTING_MAX_SERVERS);
    if (r == 0 && is_set(c, PF_SETTING_MIN_SPARE_SERVERS))
        r = move_up(c, id, PF_SETTING_MIN_SPARE_SERVERS);
    return r;
}

static int
settle_min_spare(const struct check *c)
{
    const enum pf_setting_id id = PF_SETTING_MIN_SPARE_SERVERS;
    int r;

    if (is_settled_spare(c, id))
        return 0;
    if (is_sizing(c, PF_SIZING_ONDEMAND))
        return adapt(c, id, "0", "lowered", "sizing is ondemand", "adapted to sizing");
    r = move_down(c, id, PF_SETTING_MAX_SPARE_SERVERS);
    if (r == 0)
        r = move_down(c, id, PF_SETTING_MIN_SERVERS);
    return r;
}

/* A program that says nothing has to be ready before the time for that is over. */
static int
settle_delay_below(const struct check *c, enum pf_setting_id limit)
{
    const enum pf_setting_id id = PF_SETTING_READY_DELAY;
    pf_time most = pf_settings_span(c->settings, limit);
    char value[NUMBER_BYTES];
    char because[SENTENCE_BYTES];
    char why[SENTENCE_BYTES];

    if (most == 0 || pf_settings_span(c->settings, id) < most)
        return 0;
    if (is_set(c, id))
        return refuse(c, id, "is not below", limit);
    (void)snprintf(value, sizeof value, "%.6g", (double)most / 2 / (double)PF_SECOND);
    (void)snprintf(because, sizeof because, "%s is %s", pf_setting_row(limit)->key,
                   pf_settings_text(c->settings, limit));
    (void)snprintf(why, sizeof why, "adapted to %s", pf_setting_row(limit)->key);
    return adapt(c, id, value, "lowered", because, why);
}

static int
settle_delay(const struct check *c)
{
    int r = 0;

    if (c->handler == PF_HANDLER_WAIT)
        r = settle_delay_below(c, PF_SETTING_START_TIMEOUT);
    if (c->handler == PF_HANDLER_WAIT && r == 0)
        r = settle_delay_below(c, PF_SETTING_RELOAD_TIMEOUT);
    return r;
}

/* Two names of one thing, with opposite signs. */
static int
settle_client_stdout(const struct check *c)
{
    const enum pf_setting_id tie = PF_SETTING_TIE_CLIENT_STDOUT;
    const enum pf_setting_id off = PF_SETTING_NO_CLIENT_STDOUT;

    if (!pf_settings_flag(c->settings, tie) || !pf_settings_flag(c->settings, off))
        return 0;
    if (is_set(c, off))
        return refuse(c, off, "contradicts", tie);
    return adapt(c, off, "0", "changed", "tie_client_stdout is on",
                 "adapted to tie_client_stdout");
}

int
pf_check_settings(struct pf_settings *settings, enum pf_server_type type,
                  enum pf_handler handler, pf_config_note *note, void *context,
                  struct pf_error *error)
{
    static int (*const steps[])(const struct check *) = {
        settle_sizing, refuse_numbers,   refuse_by_sizing, settle_max,
        settle_min,    settle_max_spare, settle_min_spare, settle_delay,
    };
    const struct check c = {settings, type, handler, note, context, error};
    int r = settle_type(&c);

    if (r == 0 && pf_alone_is_wanted(settings, type))
        r = pf_alone_check(settings, handler, note, context, error);
    else
        for (size_t i = 0; i < PF_COUNT(steps) && r == 0; i++)
            r = steps[i](&c);
    return r < 0 ? r : settle_client_stdout(&c);
}
