/* A server without workers.
 *
 * It is meant for a debugger, and so has to be had by one word behind a command line and a
 * file that are right for a pool: prefork 0. Hence nothing that is only about a pool
 * contradicts it. Such settings are told about and not used, like those of another
 * server_type. The one thing that cannot be had is a program that accepts by itself, which
 * would take the place of the server. */
#include "config/alone.h"

#include "base/text.h"
#include "config/setting.h"
#include <prefork/prefork.h>

#include <errno.h>

enum {
    SENTENCE_BYTES = 384,
};

/* What needs a second process. */
static const enum pf_setting_id unused[] = {
    PF_SETTING_SIZING,
    PF_SETTING_MAX_SERVERS,
    PF_SETTING_MIN_SPARE_SERVERS,
    PF_SETTING_MAX_SPARE_SERVERS,
    PF_SETTING_MAX_REQUESTS,
    PF_SETTING_START_TIMEOUT,
    PF_SETTING_REQUEST_TIMEOUT,
    PF_SETTING_CHECK_FOR_DEQUEUE,
    PF_SETTING_CHILD_COMMUNICATION,
    PF_SETTING_SERIALIZE,
    PF_SETTING_SIG_PASSTHROUGH,
    PF_SETTING_AUTO_RELOAD_CHECK_EVERY,
    PF_SETTING_SCOREBOARD_PATH,
    PF_SETTING_KEEPER,
    PF_SETTING_FDSTORE,
};

bool
pf_alone_is_wanted(const struct pf_settings *settings, enum pf_server_type type)
{
    return pf_type_uses(type, PF_SETTING_MIN_SERVERS) &&
           pf_settings_is_set(settings, PF_SETTING_MIN_SERVERS) &&
           pf_settings_number(settings, PF_SETTING_MIN_SERVERS) == 0 &&
           pf_settings_choice(settings, PF_SETTING_SIZING) != (unsigned)PF_SIZING_ONDEMAND;
}

/* "min_servers 0 (--min-servers)" */
static void
add_cause(struct pf_text *t, const struct pf_settings *settings)
{
    pf_text_add(t, "min_servers 0 (");
    pf_settings_add_origin(t, settings, PF_SETTING_MIN_SERVERS, 0);
    pf_text_add(t, ")");
}

static void
note_unused(const struct pf_settings *settings, enum pf_setting_id id, pf_config_note *note,
            void *context)
{
    char buffer[SENTENCE_BYTES];
    struct pf_text t;

    pf_text_init(&t, buffer, sizeof buffer);
    pf_text_add(&t, "%s %s (", pf_setting_row(id)->key, pf_settings_text(settings, id));
    pf_settings_add_origin(&t, settings, id, 0);
    pf_text_add(&t, ") is not used: with ");
    add_cause(&t, settings);
    pf_text_add(&t, " there are no workers");
    note(context, buffer);
}

int
pf_alone_check(const struct pf_settings *settings, enum pf_handler handler,
               pf_config_note *note, void *context, struct pf_error *error)
{
    char buffer[SENTENCE_BYTES];
    struct pf_text t;

    for (size_t i = 0; i < PF_COUNT(unused) && note; i++) {
        if (pf_settings_is_set(settings, unused[i]))
            note_unused(settings, unused[i], note, context);
    }
    if (handler != PF_HANDLER_WAIT)
        return 0;
    pf_text_init(&t, buffer, sizeof buffer);
    add_cause(&t, settings);
    return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL,
                        "%s: is a server without workers, but a program that accepts by "
                        "itself (handler wait) has to be one; set min_servers to 1",
                        buffer);
}
