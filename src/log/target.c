/* The words of log_file and syslog_*.
 *
 * Lists of words share one reader: separators are commas, blanks and "|", and each word is
 * looked up in a table. A word that is not in its table is an error that lists the table,
 * for a line that silently goes elsewhere is not noticed until it is needed.
 *
 * The names of Perl classes that Net::Server takes for log_file are told apart from paths
 * by their "::". One of them means syslog here; for the others there is no class to load,
 * and a file of that name is not what was meant. */
#include "log/target.h"

#include "base/text.h"
#include <prefork/prefork.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#define SEPARATORS ", \t|"

enum {
    IDENT_MAX = 48,
};

struct word {
    const char *name;
    int value;
};

enum option {
    OPTION_PID = 1,
    OPTION_CONS = 2,
    OPTION_NOFATAL = 4,
    OPTION_NDELAY = 8,  /* connections are always made at start */
    OPTION_NOWAIT = 16, /* nothing is ever waited for */
};

/* Of syslog_logsock. */
enum {
    WAY_INET = 100, /* tcp, then udp */
};

static const struct word ways[] = {
    {"native", PF_SYSLOG_UNIX},     {"unix", PF_SYSLOG_UNIX}, {"stream", PF_SYSLOG_STREAM},
    {"udp", PF_SYSLOG_UDP},         {"tcp", PF_SYSLOG_TCP},   {"inet", WAY_INET},
    {"console", PF_SYSLOG_CONSOLE},
};

static const struct word options[] = {
    {"pid", OPTION_PID},       {"cons", OPTION_CONS},       {"ndelay", OPTION_NDELAY},
    {"nowait", OPTION_NOWAIT}, {"nofatal", OPTION_NOFATAL},
};

static const struct word facilities[] = {
    {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},
    {"daemon", LOG_DAEMON}, {"ftp", LOG_FTP},           {"kern", LOG_KERN},
    {"lpr", LOG_LPR},       {"mail", LOG_MAIL},         {"news", LOG_NEWS},
    {"syslog", LOG_SYSLOG}, {"user", LOG_USER},         {"uucp", LOG_UUCP},
    {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},     {"local2", LOG_LOCAL2},
    {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},     {"local5", LOG_LOCAL5},
    {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},     {"security", LOG_AUTH},
};

static const struct word *
find(const char *text, size_t length, const struct word table[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(table[i].name) == length &&
            strncasecmp(text, table[i].name, length) == 0)
            return &table[i];
    }
    return NULL;
}

static int
refuse(const char *text, size_t length, const char *what, const struct word table[],
       size_t count, struct pf_error *error)
{
    char buffer[PF_ERROR_TEXT_BYTES];
    struct pf_text list;

    pf_text_init(&list, buffer, sizeof buffer);
    for (size_t i = 0; i < count; i++)
        pf_text_add(&list, "%s%s", i > 0 ? ", " : "", table[i].name);
    return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL, "\"%.*s\" is not %s: %s",
                        (int)length, text, what, buffer);
}

/* The next word: moves *text to it and gives its length, 0 at the end. */
static size_t
next(const char **text)
{
    *text += strspn(*text, SEPARATORS);
    return strcspn(*text, SEPARATORS);
}

/* "Log::Log4perl": words of letters, digits and "_" around each "::". */
static bool
is_class(const char *text)
{
    if (!strstr(text, "::"))
        return false;
    for (; *text; text++) {
        if (!isalnum((unsigned char)*text) && *text != '_' && *text != ':')
            return false;
    }
    return true;
}

int
pf_log_target_parse(const char *text, struct pf_log_target *ret_target,
                    struct pf_error *error)
{
    struct pf_log_target target = {.kind = PF_LOG_FILE, .path = text};

    if (!text || strcmp(text, "STDERR") == 0 || strcmp(text, "/dev/stderr") == 0)
        target = (struct pf_log_target){.kind = PF_LOG_STDERR, .named = text != NULL};
    else if (strcmp(text, "Sys::Syslog") == 0 || strcmp(text, "syslog") == 0)
        target = (struct pf_log_target){.kind = PF_LOG_SYSLOG};
    else if (is_class(text))
        return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL,
                            "\"%s\" is the name of a Perl class; use a path, STDERR or "
                            "Sys::Syslog, or write_to_log_hook in the program",
                            text);
    target.key = "log_file";
    *ret_target = target;
    return 0;
}

static bool
add_way(struct pf_syslog *syslog, enum pf_syslog_way way)
{
    if (syslog->way_count == PF_SYSLOG_WAYS_MAX)
        return false;
    syslog->ways[syslog->way_count++] = way;
    return true;
}

static bool
add_ways(struct pf_syslog *syslog, int value)
{
    if (value != WAY_INET)
        return add_way(syslog, (enum pf_syslog_way)value);
    return add_way(syslog, PF_SYSLOG_TCP) && add_way(syslog, PF_SYSLOG_UDP);
}

int
pf_syslog_parse_ways(const char *text, struct pf_syslog *ret_syslog, struct pf_error *error)
{
    struct pf_syslog syslog = {.way_count = 0};
    size_t length;

    for (; (length = next(&text)) > 0; text += length) {
        const struct word *w = find(text, length, ways, PF_COUNT(ways));
        if (!w)
            return refuse(text, length, "a way to a syslog daemon", ways, PF_COUNT(ways),
                          error);
        if (!add_ways(&syslog, w->value))
            return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL, "more than %d ways",
                                PF_SYSLOG_WAYS_MAX);
    }
    if (syslog.way_count == 0)
        return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL, "no way is named");
    memcpy(ret_syslog->ways, syslog.ways, sizeof syslog.ways);
    ret_syslog->way_count = syslog.way_count;
    return 0;
}

int
pf_syslog_parse_options(const char *text, struct pf_syslog *ret_syslog,
                        struct pf_error *error)
{
    int set = 0;
    size_t length;

    for (; (length = next(&text)) > 0; text += length) {
        const struct word *w = find(text, length, options, PF_COUNT(options));
        if (!w)
            return refuse(text, length, "an option", options, PF_COUNT(options), error);
        set |= w->value;
    }
    ret_syslog->pid = (set & OPTION_PID) != 0;
    ret_syslog->cons = (set & OPTION_CONS) != 0;
    ret_syslog->nofatal = (set & OPTION_NOFATAL) != 0;
    return 0;
}

int
pf_syslog_parse_facility(const char *text, struct pf_syslog *ret_syslog,
                         struct pf_error *error)
{
    const char *name = strncasecmp(text, "log_", 4) == 0 ? text + 4 : text;
    const struct word *w = find(name, strlen(name), facilities, PF_COUNT(facilities));

    if (!w)
        return refuse(text, strlen(text), "a facility", facilities, PF_COUNT(facilities),
                      error);
    ret_syslog->facility = w->value;
    return 0;
}

static bool
is_ident(const char *text)
{
    size_t length = 0;

    for (; text[length] != '\0'; length++) {
        char c = text[length];
        if (c <= ' ' || c > '~' || c == ':' || c == '[')
            return false;
    }
    return length <= IDENT_MAX;
}

int
pf_syslog_parse_ident(const char *text, struct pf_syslog *ret_syslog,
                      struct pf_error *error)
{
    if (text && !is_ident(text))
        return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL,
                            "\"%s\" is not up to %d printable ASCII characters without "
                            "blank, \":\" and \"[\"",
                            text, IDENT_MAX);
    ret_syslog->ident = text;
    return 0;
}
