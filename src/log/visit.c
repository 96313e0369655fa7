/* One connection as text.
 *
 * A line is read by programs: eight words with one blank between them, whatever a client or
 * a path put into them, and all of it ASCII, since programs differ about what a blank is
 * beyond that. The time is that of Greenwich, so that lines of many machines can be merged,
 * and the hour that a clock is set back does not happen twice. */
#include "log/visit.h"

#include <string.h>
#include <sys/wait.h>

static bool
is_plain(const char *text, char c)
{
    bool visible = c > ' ' && c <= '~';

    return visible && c != '\\' && !(c == '-' && strcmp(text, "-") == 0);
}

void
pf_visit_add_word(struct pf_text *t, const char *text)
{
    if (text[0] == '\0')
        pf_text_add(t, "-");
    for (const char *c = text; *c != '\0'; c++)
        pf_text_add(t, is_plain(text, *c) ? "%c" : "\\x%02X", (unsigned char)*c);
}

static void
add_time(struct pf_text *t, const struct timespec *time)
{
    struct tm tm = {.tm_mday = 1};
    char text[32];

    (void)gmtime_r(&time->tv_sec, &tm); /* fails in the year 2^31 */
    (void)strftime(text, sizeof text, "%FT%T", &tm);
    pf_text_add(t, "%s.%03ldZ", text, time->tv_nsec / 1000000);
}

static void
add_status(struct pf_text *t, const struct pf_visit *visit)
{
    if (!visit->has_status)
        pf_text_add(t, "-");
    else if (WIFSIGNALED(visit->wait_status))
        pf_text_add(t, "signal:%d", WTERMSIG(visit->wait_status));
    else
        pf_text_add(t, "exit:%d", WEXITSTATUS(visit->wait_status));
}

void
pf_visit_add(struct pf_text *t, const struct pf_visit *visit)
{
    static const char *const outcomes[] = {"served", "denied", "failed"};

    add_time(t, &visit->time);
    pf_text_add(t, " %d %s ", (int)visit->pid, visit->proto);
    pf_visit_add_word(t, visit->peer);
    pf_text_add(t, " ");
    pf_visit_add_word(t, visit->local);
    pf_text_add(t, " %lld.%06lld %s ", (long long)(visit->duration / PF_SECOND),
                (long long)(visit->duration % PF_SECOND), outcomes[visit->outcome]);
    add_status(t, visit);
}
