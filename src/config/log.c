/* Where lines go: log_file and what belongs to syslog, and access_log_path. */
#include "config/freeze.h"

#include <errno.h>
#include <string.h>

/* What syslog_* say, whether it is used or not: nonsense is an error in any case. */
static int
freeze_syslog(const struct pf_freeze *f, struct pf_syslog *syslog)
{
    static const struct {
        enum pf_setting_id id;
        int (*parse)(const char *text, struct pf_syslog *ret_syslog,
                     struct pf_error *error);
    } texts[] = {
        {PF_SETTING_SYSLOG_LOGSOCK, pf_syslog_parse_ways},
        {PF_SETTING_SYSLOG_LOGOPT, pf_syslog_parse_options},
        {PF_SETTING_SYSLOG_FACILITY, pf_syslog_parse_facility},
        {PF_SETTING_SYSLOG_IDENT, pf_syslog_parse_ident},
    };

    for (size_t i = 0; i < PF_COUNT(texts); i++) {
        const char *text = pf_settings_text(f->settings, texts[i].id);
        struct pf_error error = {0};
        if (texts[i].parse(text, syslog, &error) < 0)
            return pf_freeze_refuse(f, texts[i].id, 0, EINVAL, "%s", error.text);
    }
    syslog->path = pf_settings_text(f->settings, PF_SETTING_SYSLOG_PATH);
    syslog->host = pf_settings_text(f->settings, PF_SETTING_SYSLOG_HOST);
    syslog->port = pf_settings_number(f->settings, PF_SETTING_SYSLOG_PORT);
    return 0;
}

/* It is always a file: a word that means something else in log_file was not meant as the
 * name of one. */
static bool
is_word(const char *text)
{
    struct pf_log_target target = {.kind = PF_LOG_FILE};
    struct pf_error error = {0};

    return text[0] != '/' && (pf_log_target_parse(text, &target, &error) < 0 ||
                              target.kind != PF_LOG_FILE || strcmp(text, "-") == 0);
}

static int
freeze_access_log(const struct pf_freeze *f)
{
    const enum pf_setting_id id = PF_SETTING_ACCESS_LOG_PATH;
    const char *text = pf_settings_text(f->settings, id);

    f->config->daemon.access_log = text;
    if (text && is_word(text))
        return pf_freeze_refuse(
            f, id, 0, EINVAL,
            "\"%s\" is not the path of a file, and nothing else is taken "
            "here; write ./%s if a file of that name is meant",
            text, text);
    if (text && f->note && f->config->recipe.handler == PF_HANDLER_WAIT)
        f->note(f->context,
                "access_log_path: without effect, because a program that accepts "
                "by itself has its own");
    return 0;
}

int
pf_freeze_log(const struct pf_freeze *f)
{
    const char *text = pf_settings_text(f->settings, PF_SETTING_LOG_FILE);
    struct pf_log_target *log = &f->config->daemon.log;
    struct pf_error error = {0};

    if (pf_log_target_parse(text, log, &error) < 0)
        return pf_freeze_refuse(f, PF_SETTING_LOG_FILE, 0, EINVAL, "%s", error.text);
    if (freeze_syslog(f, &log->syslog) < 0)
        return -EINVAL;
    return freeze_access_log(f);
}
