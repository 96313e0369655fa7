/* Where lines go: log_file and what belongs to syslog. */
#include "config/freeze.h"

#include <errno.h>

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

int
pf_freeze_log(const struct pf_freeze *f)
{
    const char *text = pf_settings_text(f->settings, PF_SETTING_LOG_FILE);
    struct pf_log_target *log = &f->config->daemon.log;
    struct pf_error error = {0};

    if (pf_log_target_parse(text, log, &error) < 0)
        return pf_freeze_refuse(f, PF_SETTING_LOG_FILE, 0, EINVAL, "%s", error.text);
    return freeze_syslog(f, &log->syslog);
}
