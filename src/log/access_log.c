/* The access log: one line, one write.
 *
 * The file is opened for appending and lines go out in one write(2) each, so lines of many
 * workers stand one behind the other, and none is mixed with another: on a file the kernel
 * holds its lock for the whole of a write, and into a FIFO no line is longer than what goes
 * in at once (PIPE_BUF).
 *
 * A disk that fills up may take a part of a line. Whoever writes next, in whatever process,
 * has to begin on a new one, so that this is known to all of them: on a page that the
 * processes share, together with the number of lines lost. The same page keeps hundreds of
 * workers from telling the same thing: who finds the file failing first says so, and who
 * first gets a line through later says how many did not. Between the two a second goes by
 * at least, or a disk on the verge of being full would fill the log.
 *
 * A file that was deleted takes lines until it is opened again; nobody is told, for nothing
 * fails. */
#include "log/access_log.h"

#include "base/text.h"
#include "log/file.h"
#include "log/line.h"
#include "log/log.h"
#include "log/outlet.h"
#include "os/clock.h"
#include "os/share.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TELL_AGAIN PF_SECOND

struct shared {
    _Atomic uint32_t torn;    /* the file ends in the middle of a line */
    _Atomic uint32_t failing; /* it was told that lines are lost */
    _Atomic int64_t told;     /* when; pf_time */
    _Atomic uint64_t lost;    /* lines that are still to be told */
};

static struct {
    struct shared *shared; /* NULL: there is no access log */
    bool used;             /* by the program, for the present connection */
} the_access_log;

static struct pf_sink *
sink(void)
{
    return pf_outlet_sink(PF_OUTLET_ACCESS_LOG);
}

int
pf_access_log_open(const char *path, struct pf_error *error)
{
    const struct pf_log_target target = {
        .kind = PF_LOG_FILE, .key = "access_log_path", .path = path};
    struct pf_sink fresh;
    int r = pf_sink_open(&fresh, &target, error);

    if (r < 0)
        return r;
    the_access_log.shared = pf_share_open(sizeof *the_access_log.shared);
    if (!the_access_log.shared) {
        pf_sink_close(&fresh);
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, ENOMEM, "access_log_path %s: %s",
                            path, strerror(ENOMEM));
    }
    *sink() = fresh;
    return 0;
}

static unsigned long long
take_lost(void)
{
    return (unsigned long long)atomic_exchange(&the_access_log.shared->lost, 0);
}

void
pf_access_log_close(void)
{
    unsigned long long lost;

    if (!the_access_log.shared)
        return;
    lost = take_lost();
    if (lost > 0)
        pf_log(PREFORK_LOG_WARNING, "%llu lines of access_log_path %s were lost", lost,
               sink()->target.path);
    pf_share_close(the_access_log.shared, sizeof *the_access_log.shared);
    the_access_log.shared = NULL;
    pf_sink_close(sink());
    *sink() = (struct pf_sink)PF_SINK_NOWHERE;
}

bool
pf_access_log_is_open(void)
{
    return the_access_log.shared != NULL;
}

void
pf_access_log_begin(void)
{
    the_access_log.used = false;
}

bool
pf_access_log_was_used(void)
{
    return the_access_log.used;
}

/* ---- lines ----------------------------------------------------------------------- */

static void
note_lost(struct shared *s, int errnum)
{
    (void)atomic_fetch_add(&s->lost, 1);
    if (atomic_exchange(&s->failing, 1) != 0)
        return;
    atomic_store(&s->told, pf_clock_now_coarse());
    pf_log(
        PREFORK_LOG_WARNING,
        "cannot write to access_log_path %s: %s; its lines are lost until that is mended",
        sink()->target.path, strerror(errnum));
}

static void
note_written(struct shared *s)
{
    if (atomic_load(&s->failing) == 0 ||
        pf_clock_now_coarse() < atomic_load(&s->told) + TELL_AGAIN ||
        atomic_exchange(&s->failing, 0) == 0)
        return;
    pf_log(PREFORK_LOG_WARNING, "access_log_path %s is written again; %llu lines were lost",
           sink()->target.path, take_lost());
}

/* A line with a newline before and behind it. */
static int
put(struct shared *s, const char *buffer, size_t bytes)
{
    bool torn = atomic_load(&s->torn) != 0 && atomic_exchange(&s->torn, 0) != 0;
    int r;

    pf_outlet_catch_up(PF_OUTLET_ACCESS_LOG);
    r = pf_file_write(sink()->fd, buffer, bytes, &torn);
    if (torn)
        atomic_store(&s->torn, 1);
    if (r < 0)
        note_lost(s, -r);
    else
        note_written(s);
    return r;
}

int
pf_access_log_write(const char *text)
{
    char buffer[PIPE_BUF] = "\n";
    struct pf_text t;

    if (!the_access_log.shared)
        return -EBADF;
    pf_text_init(&t, buffer + 1, sizeof buffer - 1);
    pf_line_add_printable(&t, text);
    t.bytes[t.length] = '\n';
    return put(the_access_log.shared, buffer, t.length + 2);
}

int
pf_access_log_v(const char *format, va_list args)
{
    char text[PIPE_BUF];

    if (!the_access_log.shared)
        return -EBADF;
    the_access_log.used = true;
    (void)vsnprintf(text, sizeof text, format, args); /* a long line is cut */
    return pf_access_log_write(text);
}
