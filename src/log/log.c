/* The log: who speaks, what is said, and what became of it.
 *
 * A line goes through four steps. Does its level pass? Is the sink still the right one (in
 * a worker: one load and a comparison)? Is it written? If not, it is counted, and if the
 * sink is broken, whoever can repair it is told; the process that owns the sink does it
 * itself and tries once more.
 *
 * A hook of the program's replaces the last two. It must not log: a line that it causes
 * is dropped, or it would never end.
 *
 * The log is the one thing with file-scope state that all rooms may use: there is one
 * standard error per process, too. */
#include "log/log.h"

#include "base/text.h"
#include "log/line.h"
#include "log/outlet.h"
#include "log/sink.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    NAME_BYTES = 64,
    TEXT_BYTES = 2048 / 4 - 64, /* every byte may become \xNN */
};

static struct {
    char name[NAME_BYTES];
    int level;
    void (*hook)(enum prefork_log_level level, const char *text, void *data);
    void *data;
    bool in_hook;
} the_log = {
    .name = "prefork",
    .level = PREFORK_LOG_NOTICE,
};

void
pf_log_open(const char *name, int level,
            void (*hook)(enum prefork_log_level level, const char *text, void *data),
            void *data)
{
    (void)snprintf(the_log.name, sizeof the_log.name, "%s", name);
    the_log.level = level;
    the_log.hook = hook;
    the_log.data = data;
    tzset(); /* while the files about time zones can be seen */
}

void
pf_log_close(void)
{
    the_log.hook = NULL;
    the_log.data = NULL;
    pf_log_close_sink();
}

bool
pf_log_wants(enum prefork_log_level level)
{
    return (int)level <= the_log.level || level == PREFORK_LOG_ERROR;
}

/* ---- the sink -------------------------------------------------------------------- */

static struct pf_sink *
sink(void)
{
    return pf_outlet_sink(PF_OUTLET_LOG);
}

int
pf_log_open_sink(const struct pf_log_target *target, struct pf_error *error)
{
    struct pf_error warning = {0};
    struct pf_sink fresh;
    int r = pf_sink_open(&fresh, target, &warning);

    if (r < 0)
        return pf_error_set(error, warning.exit_code, -r, "%s", warning.text);
    if (r == PF_SINK_E_UNREACHABLE)
        pf_log(PREFORK_LOG_WARNING, "%s", warning.text);
    pf_sink_close(sink());
    *sink() = fresh;
    return 0;
}

void
pf_log_close_sink(void)
{
    pf_sink_close(sink());
}

bool
pf_log_is_stderr(void)
{
    return sink()->target.kind == PF_LOG_STDERR && !the_log.hook;
}

int
pf_log_lead_stderr(void)
{
    if (dup2(sink()->fd, STDERR_FILENO) < 0)
        return -errno;
    sink()->leads_stderr = true;
    return 0;
}

/* ---- lines ----------------------------------------------------------------------- */

static int
repair_and_write(const struct pf_line *line)
{
    if (!pf_outlet_tell_broken(PF_OUTLET_LOG) &&
        pf_sink_repair(sink(), pf_clock_now()) == 0)
        return pf_sink_write(sink(), line);
    return -EPIPE;
}

static void
write_line(enum prefork_log_level level, const char *text)
{
    struct pf_sink *s = sink();
    struct pf_line line = {
        .name = the_log.name,
        .pid = getpid(),
        .level = level,
        .lost = s->lost,
        .text = text,
    };
    int r;

    (void)clock_gettime(CLOCK_REALTIME, &line.time);
    pf_outlet_catch_up(PF_OUTLET_LOG);
    r = pf_sink_write(s, &line);
    if (r == -EPIPE)
        r = repair_and_write(&line);
    if (r < 0)
        s->lost++;
    else if (r == PF_REMOTE_E_EARLIER)
        s->lost = line.lost + 1; /* and what that one said about others */
    else
        s->lost = 0;
}

static void
call_hook(enum prefork_log_level level, const char *text)
{
    char buffer[4 * TEXT_BYTES];
    struct pf_text t;

    if (the_log.in_hook)
        return;
    pf_text_init(&t, buffer, sizeof buffer);
    pf_line_add_printable(&t, text);
    the_log.in_hook = true;
    the_log.hook(level, buffer, the_log.data);
    the_log.in_hook = false;
}

void
pf_log_v(enum prefork_log_level level, const char *format, va_list args)
{
    char text[TEXT_BYTES];
    int errnum = errno;

    if (pf_log_wants(level)) {
        (void)vsnprintf(text, sizeof text, format, args); /* a long line is cut */
        if (the_log.hook)
            call_hook(level, text);
        else
            write_line(level, text);
    }
    errno = errnum;
}

void
pf_log(enum prefork_log_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    pf_log_v(level, format, args);
    va_end(args);
}
