/* prefork status --json: one object, whose names prefork(1) lists and keeps.
 *
 * Times are seconds since the epoch to the microsecond, and null for never. A text that is
 * not UTF-8 would make jansson refuse the whole object, so each goes through cli_utf8().
 * Objects and arrays take what they are given also where that is NULL for want of memory,
 * and say so; every step is told by one variable. */
#include "cli/status.h"
#include "cli/text.h"

#include <jansson.h>
#include <limits.h>

/* An object in the making. */
struct maker {
    json_t *object;
    bool failed;
};

static void
put(struct maker *m, const char *key, json_t *value)
{
    if (json_object_set_new(m->object, key, value) < 0)
        m->failed = true;
}

/* JSON has no numbers above those of jansson; one that is, comes from a damaged file. */
static void
put_count(struct maker *m, const char *key, unsigned long long n)
{
    put(m, key, json_integer(n > LLONG_MAX ? LLONG_MAX : (json_int_t)n));
}

static void
put_time(struct maker *m, const char *key, double seconds)
{
    put(m, key, seconds > 0 ? json_real(seconds) : json_null());
}

static void
put_text(struct maker *m, const char *key, const char *text)
{
    char clean[CLI_TEXT_BYTES];

    cli_utf8(text, clean, sizeof clean);
    put(m, key, json_string(clean));
}

static json_t *
finish(struct maker *m)
{
    if (!m->failed)
        return m->object;
    json_decref(m->object);
    return NULL;
}

static json_t *
make_worker(const struct prefork_score *w)
{
    struct maker m = {.object = json_object()};

    put_count(&m, "slot", w->slot);
    put(&m, "pid", json_integer(w->pid));
    put(&m, "state", json_stringn(&w->state, 1));
    put(&m, "whole", json_boolean(w->whole));
    put_time(&m, "started", w->started);
    put_time(&m, "request_started", w->request_started);
    put_time(&m, "updated", w->updated);
    put_count(&m, "requests", w->requests);
    put_text(&m, "proto", w->proto);
    put_text(&m, "peer", w->peer);
    put_text(&m, "local", w->local);
    put_text(&m, "label", w->label);
    return finish(&m);
}

static json_t *
make_workers(const struct prefork_scoreboard *b)
{
    json_t *array = json_array();

    for (unsigned i = 0; i < b->num_children; i++) {
        if (json_array_append_new(array, make_worker(&b->workers[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *
make(const struct prefork_scoreboard *b)
{
    struct maker m = {.object = json_object()};

    put(&m, "alive", json_boolean(b->alive));
    put(&m, "stopping", json_boolean(b->stopping));
    put(&m, "pid", json_integer(b->pid));
    put_text(&m, "name", b->name);
    put_time(&m, "started", b->started);
    put_time(&m, "updated", b->updated);
    put_count(&m, "births", b->births);
    put_count(&m, "requests", b->requests);
    put_count(&m, "num_children", b->num_children);
    put_count(&m, "num_busy", b->num_busy);
    put_count(&m, "num_idle", b->num_idle);
    put(&m, "workers", make_workers(b));
    return finish(&m);
}

int
cli_json(const struct prefork_scoreboard *b, FILE *to)
{
    json_t *object = make(b);
    char *text =
        object ? json_dumps(object, JSON_INDENT(1) | JSON_REAL_PRECISION(16)) : NULL;

    json_decref(object);
    if (!text)
        return -1;
    (void)fprintf(to, "%s\n", text); /* whether it was written is asked once, at the end */
    free(text);
    return 0;
}
