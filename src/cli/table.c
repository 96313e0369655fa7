/* prefork status for people: what the server is, how many there are, one line per worker.
 *
 * Columns of numbers and addresses are as wide as the widest of them and never cut; the
 * label gets what is left of 80 columns, at least some. Nothing depends on a terminal, so
 * that a pipe sees the same. A server that does not run any more is shown at the moment of
 * its last change: ages do not grow after the end. */
#include "cli/status.h"
#include "cli/text.h"

#include <string.h>
#include <time.h>

enum {
    COLUMNS = 80,
    LABEL_COLUMNS = 12, /* at least */
    SPAN_COLUMNS = 7,
    SPAN_BYTES = 32,
};

struct layout {
    int slot;
    int pid;
    int requests;
    int peer;
    size_t label;
    double now;
    bool torn; /* there is a line that is not whole */
};

static void
format_time(double seconds, char *buffer, size_t size)
{
    time_t t = (time_t)seconds;
    struct tm tm;

    if (seconds <= 0)
        (void)snprintf(buffer, size, "an unknown time");
    else if (!localtime_r(&t, &tm) || strftime(buffer, size, "%F %T", &tm) == 0)
        (void)snprintf(buffer, size, "second %.0f", seconds);
}

/* "5s", "3m07s", "2h05m", "12d03h"; "-" for what never began. */
static void
format_span(double from, double to, char buffer[static SPAN_BYTES])
{
    double span = to > from ? to - from : 0;
    unsigned long long s = (unsigned long long)span;

    if (from <= 0)
        (void)snprintf(buffer, SPAN_BYTES, "-");
    else if (s < 60)
        (void)snprintf(buffer, SPAN_BYTES, "%llus", s);
    else if (s < 3600)
        (void)snprintf(buffer, SPAN_BYTES, "%llum%02llus", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(buffer, SPAN_BYTES, "%lluh%02llum", s / 3600, s / 60 % 60);
    else
        (void)snprintf(buffer, SPAN_BYTES, "%llud%02lluh", s / 86400, s / 3600 % 24);
}

static void
print_head(const struct prefork_scoreboard *b, double now, FILE *to)
{
    char name[CLI_TEXT_BYTES];
    char started[64];
    char updated[64];
    char span[SPAN_BYTES];

    cli_printable(b->name, sizeof b->name, name, sizeof name);
    format_time(b->started, started, sizeof started);
    format_time(b->updated, updated, sizeof updated);
    format_span(b->updated, now, span);
    if (b->alive)
        (void)fprintf(to, "%s[%d] runs since %s%s\n", name, (int)b->pid, started,
                      b->stopping ? " and is stopping" : "");
    else
        (void)fprintf(to,
                      "%s[%d] does not run: it ended %s.\n"
                      "It ran since %s, last change %s (%s ago)\n",
                      name, (int)b->pid,
                      b->stopping ? "after a stop was asked for" : "without cleaning up",
                      started, updated, span);
    (void)fprintf(to, "%u children, %u busy, %u idle; %llu births, %llu requests\n",
                  b->num_children, b->num_busy, b->num_idle, b->births, b->requests);
}

/* Where there is no address, the protocol says more than nothing. */
static void
format_peer(const struct prefork_score *w, char buffer[static CLI_TEXT_BYTES])
{
    if (w->peer[0] != '\0')
        (void)snprintf(buffer, CLI_TEXT_BYTES, "%s", w->peer);
    else if (w->proto[0] != '\0')
        cli_printable(w->proto, sizeof w->proto, buffer, CLI_TEXT_BYTES);
    else
        (void)snprintf(buffer, CLI_TEXT_BYTES, "-");
}

static void
widen(int *width, int needed)
{
    if (needed > *width)
        *width = needed;
}

static struct layout
lay_out(const struct prefork_scoreboard *b, double now)
{
    struct layout l = {.slot = 4, .pid = 3, .requests = 8, .peer = 4, .now = now};
    int taken;

    for (unsigned i = 0; i < b->num_children; i++) {
        const struct prefork_score *w = &b->workers[i];
        char peer[CLI_TEXT_BYTES];
        format_peer(w, peer);
        widen(&l.slot, snprintf(NULL, 0, "%u", w->slot));
        widen(&l.pid, snprintf(NULL, 0, "%d", (int)w->pid));
        widen(&l.requests, snprintf(NULL, 0, "%llu", w->requests));
        widen(&l.peer, (int)strlen(peer));
        l.torn = l.torn || !w->whole;
    }
    taken = l.slot + l.pid + l.requests + l.peer + 2 * SPAN_COLUMNS + 2 + 7;
    l.label = taken + LABEL_COLUMNS > COLUMNS ? LABEL_COLUMNS : (size_t)(COLUMNS - taken);
    return l;
}

/* How long the present request takes, or for how long there has been none. */
static double
since(const struct prefork_score *w)
{
    bool in_request = w->state != '_' && w->state != '.' && w->request_started > 0;

    return in_request ? w->request_started : w->updated;
}

static void
print_worker(const struct prefork_score *w, const struct layout *l, FILE *to)
{
    char age[SPAN_BYTES];
    char spent[SPAN_BYTES];
    char peer[CLI_TEXT_BYTES];
    char label[CLI_TEXT_BYTES];

    format_span(w->started, l->now, age);
    format_span(since(w), l->now, spent);
    format_peer(w, peer);
    cli_printable(w->label, l->label, label, sizeof label);
    (void)fprintf(to, "%*u %*d %c%c %*llu %*s %*s ", l->slot, w->slot, l->pid, (int)w->pid,
                  w->state, w->whole ? ' ' : '!', l->requests, w->requests, SPAN_COLUMNS,
                  age, SPAN_COLUMNS, spent);
    if (label[0] == '\0')
        (void)fprintf(to, "%s\n", peer);
    else
        (void)fprintf(to, "%-*s %s\n", l->peer, peer, label);
}

void
cli_table(const struct prefork_scoreboard *b, double now, FILE *to)
{
    double moment = b->alive || b->updated <= 0 ? now : b->updated;
    struct layout l = lay_out(b, moment);

    print_head(b, now, to);
    if (b->num_children == 0)
        return;
    (void)fprintf(to, "\n%*s %*s %-2s %*s %*s %*s %-*s %s\n", l.slot, "SLOT", l.pid, "PID",
                  "S", l.requests, "REQUESTS", SPAN_COLUMNS, "AGE", SPAN_COLUMNS, "TIME",
                  l.peer, "PEER", "LABEL");
    for (unsigned i = 0; i < b->num_children; i++)
        print_worker(&b->workers[i], &l, to);
    if (l.torn)
        (void)fprintf(to, "! was being written: this line may be of two moments\n");
}
