/* One event as text.
 *
 * What a peer or a program put into a line must not forge another one, move the cursor of
 * a terminal or end a record early, so control characters are shown. Bytes from 0x80 up
 * are left alone: they are somebody's letters.
 *
 * For syslog the level becomes the severity in the number at the front. Names of months
 * are fixed there, and not those of the locale. */
#include "log/line.h"

#include <syslog.h>

static const char *
level_name(enum prefork_log_level level)
{
    static const char *const names[] = {"error", "warning", "notice", "info", "debug"};

    return (size_t)level < PF_COUNT(names) ? names[level] : "debug";
}

static int
severity(enum prefork_log_level level)
{
    static const int severities[] = {LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG};

    return (size_t)level < PF_COUNT(severities) ? severities[level] : LOG_DEBUG;
}

/* Up to the next control character. */
static size_t
count_printable(const char *text)
{
    size_t n = 0;

    while ((unsigned char)text[n] >= ' ' && text[n] != 0x7f)
        n++;
    return n;
}

void
pf_line_add_printable(struct pf_text *t, const char *text)
{
    while (*text) {
        size_t plain = count_printable(text);
        if (plain > 0)
            pf_text_add(t, "%.*s", (int)plain, text);
        else
            pf_text_add(t, "\\x%02X", (unsigned char)*text);
        text += plain > 0 ? plain : 1;
    }
}

static void
add_tag(struct pf_text *t, const struct pf_line *line)
{
    pf_text_add(t, "%s", line->name);
    if (line->pid > 0)
        pf_text_add(t, "[%d]", (int)line->pid);
}

static void
add_message(struct pf_text *t, const struct pf_line *line)
{
    pf_text_add(t, ": ");
    if (line->lost > 0)
        pf_text_add(t, "(%lu lines lost) ", line->lost);
    pf_line_add_printable(t, line->text);
}

void
pf_line_add(struct pf_text *t, const struct pf_line *line)
{
    struct tm tm;
    char time[32];

    if (!localtime_r(&line->time.tv_sec, &tm) ||
        strftime(time, sizeof time, "%F %T", &tm) == 0)
        time[0] = '\0';
    pf_text_add(t, "%s.%03ld ", time, line->time.tv_nsec / 1000000);
    add_tag(t, line);
    pf_text_add(t, " %s", level_name(line->level));
    add_message(t, line);
}

void
pf_line_add_syslog(struct pf_text *t, const struct pf_line *line, int facility,
                   const char *host)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm = {.tm_mday = 1};

    (void)localtime_r(&line->time.tv_sec, &tm); /* fails in the year 2^31 */
    pf_text_add(t, "<%d>%s %2d %02d:%02d:%02d ", facility | severity(line->level),
                months[tm.tm_mon], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (host)
        pf_text_add(t, "%s ", host);
    pf_line_add_tagged(t, line);
}

void
pf_line_add_tagged(struct pf_text *t, const struct pf_line *line)
{
    add_tag(t, line);
    add_message(t, line);
}
