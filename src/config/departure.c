/* What is to happen when a client goes.
 *
 * A function that the program has is reason enough to look (auto); to ask for one that it
 * does not have is an error. Nobody looks in vain: where there is no master, or the program
 * has its clients to itself, the setting is told to be without effect, once. */
#include "config/alone.h"
#include "config/freeze.h"
#include "config/setting.h"
#include "config/type.h"

#include <errno.h>

static enum pf_departure_policy
policy_of(const struct pf_freeze *f)
{
    const bool has_hook = f->config->recipe.app.on_client_disconnect;

    switch (pf_settings_choice(f->settings, PF_SETTING_ON_CLIENT_DISCONNECT)) {
    case PF_CHOICE_DEPARTURE_HOOK: return PF_DEPARTURE_TELL;
    case PF_CHOICE_DEPARTURE_SIGNAL: return PF_DEPARTURE_TERM;
    case PF_CHOICE_DEPARTURE_KILL: return PF_DEPARTURE_KILL;
    case PF_CHOICE_DEPARTURE_AUTO:
        return has_hook ? PF_DEPARTURE_TELL : PF_DEPARTURE_IGNORE;
    default: return PF_DEPARTURE_IGNORE;
    }
}

static void
note(const struct pf_freeze *f, const char *text)
{
    if (f->note)
        f->note(f->context, text);
}

/* Settings alone may be checked, without the program whose hook it would be. */
static bool
lacks_hook(const struct pf_freeze *f)
{
    const struct pf_recipe *recipe = &f->config->recipe;
    bool known = recipe->program || recipe->app.process_request || recipe->app.main_loop;

    return known && !recipe->app.on_client_disconnect &&
           pf_settings_choice(f->settings, PF_SETTING_ON_CLIENT_DISCONNECT) ==
               PF_CHOICE_DEPARTURE_HOOK;
}

/* Why nobody can be told, or NULL. */
static const char *
obstacle(const struct pf_freeze *f, enum pf_server_type type)
{
    const struct pf_recipe *recipe = &f->config->recipe;

    if (pf_alone_is_wanted(f->settings, type))
        return "on_client_disconnect: without effect, because without workers there is no "
               "master beside the one who serves";
    if (type == PF_SERVER_INET)
        return "on_client_disconnect: without effect, because with server_type INET there "
               "is no master";
    if (recipe->handler == PF_HANDLER_MAIN_LOOP)
        return "on_client_disconnect: without effect, because main_loop has its clients to "
               "itself";
    return NULL;
}

/* Who has clients, and a master that could look after them. */
int
pf_freeze_departures(const struct pf_freeze *f, enum pf_server_type type)
{
    struct pf_policy *policy = &f->config->policy;
    struct pf_recipe *recipe = &f->config->recipe;

    if (lacks_hook(f))
        return pf_freeze_refuse(f, PF_SETTING_ON_CLIENT_DISCONNECT, 0, EINVAL,
                                "there is no such function to call; use signal, kill or "
                                "ignore");
    policy->on_departure = policy_of(f);
    policy->check_for_disconnect = PF_NEVER;
    recipe->half_close_is_end =
        pf_settings_choice(f->settings, PF_SETTING_HALF_CLOSE) == PF_CHOICE_HALF_DISCONNECT;
    if (policy->on_departure == PF_DEPARTURE_IGNORE)
        return 0;
    if (obstacle(f, type)) {
        policy->on_departure = PF_DEPARTURE_IGNORE;
        note(f, obstacle(f, type));
    } else if (recipe->handler == PF_HANDLER_WAIT) {
        policy->check_for_disconnect =
            pf_settings_span(f->settings, PF_SETTING_CHECK_FOR_DISCONNECT);
        if (!recipe->half_close_is_end)
            note(f, "half_close ignore: of a program that accepts by itself "
                    "clients over TCP cannot be seen to go");
    }
    return 0;
}
