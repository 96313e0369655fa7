/* From the records of a file to the structs of the public header.
 *
 * Every record that somebody uses becomes one worker: times in seconds, addresses as text,
 * a letter that can be printed. Counts are derived here from these very lines, so that they
 * fit them; the server keeps none in the file. They are of one moment only as far as lines
 * are: while one is read, the others go on.
 *
 * Memory grows with the lines that are used, and not with what the file says that it has.
 */
#include "status/scoreboard.h"

#include "base/address.h"
#include "link/score.h"
#include "status/record.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_WORKERS = 16,
};

static_assert(sizeof((struct prefork_score){0}.label) ==
                  sizeof((struct pf_score_line){0}.label),
              "labels fit");
static_assert(sizeof((struct prefork_score){0}.proto) ==
                  sizeof((struct pf_score_line){0}.proto),
              "protocols fit");
static_assert(sizeof((struct prefork_scoreboard){0}.name) ==
                  sizeof((struct pf_score_head){0}.name),
              "names fit");

static double
seconds(int64_t microseconds)
{
    return microseconds > 0 ? (double)microseconds / 1e6 : 0;
}

static char
letter(uint8_t state)
{
    return state > ' ' && state <= '~' ? (char)state : PF_SCORE_UNKNOWN;
}

static void
format_end(const struct pf_score_end *end, char *buffer, size_t size)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(end->port)};
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6,
        .sin6_port = htons(end->port),
        .sin6_scope_id = end->scope,
    };

    if (end->family == AF_INET) {
        memcpy(&v4.sin_addr, end->address, sizeof v4.sin_addr);
        pf_address_format((const void *)&v4, sizeof v4, buffer, size);
    } else if (end->family == AF_INET6) {
        memcpy(&v6.sin6_addr, end->address, sizeof v6.sin6_addr);
        pf_address_format((const void *)&v6, sizeof v6, buffer, size);
    } else {
        buffer[0] = '\0';
    }
}

static void
fill(struct prefork_score *w, unsigned slot, const struct pf_score_line *line, bool whole)
{
    *w = (struct prefork_score){
        .slot = slot,
        .pid = line->pid,
        .state = letter(line->state),
        .whole = whole,
        .started = seconds(line->born),
        .request_started = seconds(line->request),
        .updated = seconds(line->updated),
        .requests = line->requests,
    };
    memcpy(w->proto, line->proto, sizeof w->proto);
    memcpy(w->label, line->label, sizeof w->label);
    format_end(&line->peer, w->peer, sizeof w->peer);
    format_end(&line->local, w->local, sizeof w->local);
}

static void
count(struct prefork_scoreboard *b, const struct prefork_score *w)
{
    b->requests += w->requests;
    if (w->updated > b->updated)
        b->updated = w->updated;
    switch (w->state) {
    case PF_SCORE_IDLE:
    case '.': b->num_idle++; break;
    case PF_SCORE_STARTING:
    case PF_SCORE_LEAVING:
    case PF_SCORE_DEQUEUE:
    case PF_SCORE_UNKNOWN: break;
    default: b->num_busy++; break;
    }
}

/* Room for one worker more: 0 or -ENOMEM. Grows where the number of them is a power of 2.
 */
static int
make_room(struct prefork_scoreboard *b)
{
    struct prefork_score *grown;
    size_t n = b->num_children;

    if (n != 0 && (n < FIRST_WORKERS || (n & (n - 1)) != 0))
        return 0;
    n = n < FIRST_WORKERS ? FIRST_WORKERS : 2 * n;
    grown = realloc(b->workers, n * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    b->workers = grown;
    return 0;
}

static int
refuse_memory(const struct pf_record_file *f, struct pf_error *error)
{
    return pf_error_set(error, PREFORK_EXIT_SYSTEM, ENOMEM,
                        "scoreboard %s: out of memory for it", f->path);
}

static int
read_lines(struct prefork_scoreboard *b, struct pf_record_file *f, struct pf_error *error)
{
    struct pf_score_line line;

    for (unsigned slot = 0; slot < f->head.records; slot++) {
        int r = pf_record_line(f, slot, &line, error);
        if (r < 0)
            return r;
        if (r == PF_RECORD_E_UNUSED)
            continue;
        if (make_room(b) < 0)
            return refuse_memory(f, error);
        fill(&b->workers[b->num_children], slot, &line, r == 0);
        count(b, &b->workers[b->num_children++]);
    }
    return 0;
}

static int
read_totals(struct prefork_scoreboard *b, struct pf_record_file *f, struct pf_error *error)
{
    struct pf_score_totals totals;
    int r = pf_record_totals(f, &totals, error);

    if (r < 0)
        return r;
    b->births = totals.births;
    b->requests = totals.requests;
    b->updated = seconds(totals.updated);
    b->stopping = totals.stopping != 0;
    return 0;
}

static int
read_all(struct prefork_scoreboard *b, struct pf_record_file *f, struct pf_error *error)
{
    int r;

    b->alive = f->alive;
    b->pid = f->head.pid;
    b->started = seconds(f->head.started);
    memcpy(b->name, f->head.name, sizeof b->name);
    r = read_totals(b, f, error);
    return r < 0 ? r : read_lines(b, f, error);
}

int
pf_scoreboard_read(const char *path, struct prefork_scoreboard **ret_scoreboard,
                   struct pf_error *error)
{
    struct prefork_scoreboard *b;
    struct pf_record_file f;
    int r;

    r = pf_record_open(&f, path, error);
    if (r < 0)
        return r;
    b = calloc(1, sizeof *b);
    r = b ? read_all(b, &f, error) : refuse_memory(&f, error);
    pf_record_close(&f);
    if (r < 0) {
        pf_scoreboard_free(b);
        return r;
    }
    *ret_scoreboard = b;
    return 0;
}

void
pf_scoreboard_free(struct prefork_scoreboard *b)
{
    if (b)
        free(b->workers);
    free(b);
}
