/* The values of all settings: where all sources meet.
 *
 * A value is kept as the text it was given in, with its origin, and beside it as the
 * number that text means. Scalars are lists of one. Defaults go through the same check
 * as everything else, so a bad row of settings.def shows in the first test.
 *
 * What always holds: every stored text passed the check of its type, has no control
 * character but tabs, is not empty and neither begins nor ends with a blank. That is why
 * pf_config_print() can write any of them in the grammar of the file.
 *
 * Not here: which settings there are (config/table.c), whether a text is a value of one
 * (config/entry.c), rules between settings (config/check.c). */
#include "config/setting.h"

#include "config/foreign.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct item {
    char *text; /* owned */
    struct pf_origin origin;
};

struct value {
    struct item *items; /* owned; a scalar has at most one */
    unsigned count;
    int64_t number; /* what the last item means, in the unit of its type */
    char *why;      /* owned; an adapted default's reason, or NULL */
};

/* A key that has no effect, where it was met first. */
struct stranger {
    const struct pf_foreign *foreign;
    struct pf_origin origin;
    bool told;
};

struct pf_settings {
    struct value values[PF_SETTING_COUNT_OF];
    char **files; /* owned, with their strings; origins borrow them */
    unsigned file_count;
    struct stranger *strangers; /* owned */
    unsigned stranger_count;
};

/* ---- storing --------------------------------------------------------------------- */

static int
no_memory(struct pf_error *error)
{
    return pf_error_set(error, PREFORK_EXIT_SYSTEM, ENOMEM, "out of memory for settings");
}

static void
clear_value(struct value *v)
{
    for (unsigned i = 0; i < v->count; i++)
        free(v->items[i].text);
    free(v->items);
    free(v->why);
    *v = (struct value){0};
}

/* The settings' own copy of a file name, so that origins can borrow it; NULL when memory
 * is out. */
static const char *
keep_file(struct pf_settings *s, const char *file)
{
    char **grown;

    for (unsigned i = 0; i < s->file_count; i++) {
        if (strcmp(s->files[i], file) == 0)
            return s->files[i];
    }
    grown = realloc(s->files, (s->file_count + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    s->files = grown;
    grown[s->file_count] = pf_text_copy(file);
    if (!grown[s->file_count])
        return NULL;
    return grown[s->file_count++];
}

/* Both origins are the same source. Kept file names are one pointer per name. */
static bool
same_source(const struct pf_origin *a, const struct pf_origin *b)
{
    return a->kind == b->kind && a->kind != PF_ORIGIN_DEFAULT && a->file == b->file;
}

/* Append to the list, or replace everything. Nothing changes when memory is out. */
static int
store_item(struct value *v, const struct item *item, bool append)
{
    struct value old = *v;
    struct item *grown;

    if (append) {
        grown = realloc(v->items, (v->count + 1) * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        v->items = grown;
    } else {
        grown = malloc(sizeof *grown);
        if (!grown)
            return -ENOMEM;
        *v = (struct value){.items = grown};
        clear_value(&old);
    }
    v->items[v->count++] = *item;
    return 0;
}

static int
store(struct pf_settings *s, const struct pf_entry *e, int64_t number)
{
    struct value *v = &s->values[e->id];
    struct item item = {.origin = *e->origin};
    bool append;
    int r;

    if (item.origin.file) {
        item.origin.file = keep_file(s, item.origin.file);
        if (!item.origin.file)
            return no_memory(e->error);
    }
    item.text = pf_text_copy(e->value);
    if (!item.text)
        return no_memory(e->error);
    append = v->count > 0 && pf_setting_row(e->id)->number == PF_NUMBER_LIST &&
             same_source(&v->items[v->count - 1].origin, &item.origin);
    r = store_item(v, &item, append);
    if (r < 0) {
        free(item.text);
        return no_memory(e->error);
    }
    v->number = number;
    return 0;
}

/* Remember a key that has no effect; once is enough. */
static int
meet(struct pf_settings *s, const struct pf_foreign *foreign,
     const struct pf_origin *origin, struct pf_error *error)
{
    struct stranger stranger = {.foreign = foreign, .origin = *origin};
    struct stranger *grown;

    for (unsigned i = 0; i < s->stranger_count; i++) {
        if (s->strangers[i].foreign == foreign)
            return 0;
    }
    if (origin->file) {
        stranger.origin.file = keep_file(s, origin->file);
        if (!stranger.origin.file)
            return no_memory(error);
    }
    grown = realloc(s->strangers, (s->stranger_count + 1) * sizeof *grown);
    if (!grown)
        return no_memory(error);
    s->strangers = grown;
    grown[s->stranger_count++] = stranger;
    return 0;
}

static int
check_and_store(struct pf_settings *s, const struct pf_entry *e)
{
    int64_t number = 0;
    int r;

    r = pf_entry_check(e, &number);
    if (r < 0)
        return r;
    if (pf_settings_origin(s, e->id)->kind > e->origin->kind)
        return 0;
    return store(s, e, number);
}

int
pf_settings_set(struct pf_settings *settings, const char *key, const char *value,
                const struct pf_origin *origin, struct pf_error *error)
{
    struct pf_entry e = {.key = key, .value = value, .origin = origin, .error = error};
    const struct pf_foreign *foreign;

    if (pf_setting_find(key, &e.id) == 0)
        return check_and_store(settings, &e);
    foreign = pf_foreign_find(key);
    return foreign ? meet(settings, foreign, origin, error) : pf_entry_refuse_key(&e);
}

void
pf_settings_tell_foreign(struct pf_settings *settings,
                         void (*tell)(void *context, const char *text), void *context)
{
    char buffer[PF_ERROR_TEXT_BYTES];
    struct pf_text t;

    for (unsigned i = 0; i < settings->stranger_count; i++) {
        struct stranger *stranger = &settings->strangers[i];
        if (stranger->told)
            continue;
        pf_text_init(&t, buffer, sizeof buffer);
        pf_origin_add_subject(&t, &stranger->origin, stranger->foreign->key);
        pf_text_add(&t, ": has no effect: %s", stranger->foreign->reason);
        tell(context, buffer);
        stranger->told = true;
    }
}

/* ---- defaults -------------------------------------------------------------------- */

static const struct pf_origin default_origin = {.kind = PF_ORIGIN_DEFAULT};

int
pf_settings_adapt(struct pf_settings *settings, enum pf_setting_id id, const char *value,
                  const char *why, struct pf_error *error)
{
    struct pf_entry e = {id, pf_setting_row(id)->key, value, &default_origin, error};
    char *copy;
    int r;

    PF_ASSERT(!pf_settings_is_set(settings, id));
    copy = pf_text_copy(why);
    if (!copy)
        return no_memory(error);
    r = check_and_store(settings, &e);
    if (r < 0) {
        free(copy);
        return r;
    }
    free(settings->values[id].why);
    settings->values[id].why = copy;
    return 0;
}

static int
restore(struct pf_settings *s, enum pf_setting_id id, struct pf_error *error)
{
    const struct pf_setting *row = pf_setting_row(id);
    struct pf_entry e = {id, row->key, row->initial, &default_origin, error};

    if (row->initial[0] != '\0')
        return check_and_store(s, &e);
    clear_value(&s->values[id]);
    return 0;
}

int
pf_settings_restore(struct pf_settings *settings, struct pf_error *error)
{
    int r;

    for (unsigned i = 0; i < PF_SETTING_COUNT_OF; i++) {
        enum pf_setting_id id = (enum pf_setting_id)i;
        if (pf_settings_is_set(settings, id))
            continue;
        r = restore(settings, id, error);
        if (r < 0)
            return r;
    }
    return 0;
}

struct pf_settings *
pf_settings_new(void)
{
    struct pf_settings *s = calloc(1, sizeof *s);
    int r;

    if (!s)
        return NULL;
    r = pf_settings_restore(s, NULL);
    PF_ASSERT(r == 0 || r == -ENOMEM); /* or a default of settings.def is wrong */
    if (r < 0) {
        pf_settings_free(s);
        return NULL;
    }
    return s;
}

void
pf_settings_free(struct pf_settings *settings)
{
    if (!settings)
        return;
    for (unsigned i = 0; i < PF_SETTING_COUNT_OF; i++)
        clear_value(&settings->values[i]);
    for (unsigned i = 0; i < settings->file_count; i++)
        free(settings->files[i]);
    free(settings->files);
    free(settings->strangers);
    free(settings);
}

/* ---- reading --------------------------------------------------------------------- */

static int64_t
number_of(const struct pf_settings *s, enum pf_setting_id id)
{
    return s->values[id].number;
}

bool
pf_settings_is_set(const struct pf_settings *settings, enum pf_setting_id id)
{
    return pf_settings_origin(settings, id)->kind != PF_ORIGIN_DEFAULT;
}

unsigned
pf_settings_number(const struct pf_settings *settings, enum pf_setting_id id)
{
    enum pf_setting_type type = pf_setting_row(id)->type;

    PF_ASSERT(type == PF_TYPE_COUNT || type == PF_TYPE_PERCENT || type == PF_TYPE_MODE);
    return (unsigned)number_of(settings, id);
}

pf_time
pf_settings_span(const struct pf_settings *settings, enum pf_setting_id id)
{
    PF_ASSERT(pf_setting_row(id)->type == PF_TYPE_SECONDS);
    return number_of(settings, id);
}

bool
pf_settings_flag(const struct pf_settings *settings, enum pf_setting_id id)
{
    PF_ASSERT(pf_setting_row(id)->type == PF_TYPE_FLAG);
    return number_of(settings, id) != 0;
}

unsigned
pf_settings_choice(const struct pf_settings *settings, enum pf_setting_id id)
{
    PF_ASSERT(pf_setting_row(id)->type == PF_TYPE_CHOICE);
    return (unsigned)number_of(settings, id);
}

const char *
pf_settings_text(const struct pf_settings *settings, enum pf_setting_id id)
{
    unsigned count = pf_settings_item_count(settings, id);

    return count > 0 ? pf_settings_item(settings, id, count - 1) : NULL;
}

unsigned
pf_settings_item_count(const struct pf_settings *settings, enum pf_setting_id id)
{
    return settings->values[id].count;
}

const char *
pf_settings_item(const struct pf_settings *settings, enum pf_setting_id id, unsigned index)
{
    const struct value *v = &settings->values[id];

    return index < v->count ? v->items[index].text : NULL;
}

const struct pf_origin *
pf_settings_item_origin(const struct pf_settings *settings, enum pf_setting_id id,
                        unsigned index)
{
    const struct value *v = &settings->values[id];

    return index < v->count ? &v->items[index].origin : NULL;
}

const struct pf_origin *
pf_settings_origin(const struct pf_settings *settings, enum pf_setting_id id)
{
    const struct value *v = &settings->values[id];

    return v->count > 0 ? &v->items[v->count - 1].origin : &default_origin;
}

void
pf_settings_add_origin(struct pf_text *t, const struct pf_settings *settings,
                       enum pf_setting_id id, unsigned index)
{
    const struct pf_origin *origin = pf_settings_item_origin(settings, id, index);
    const char *why = settings->values[id].why;

    pf_origin_add(t, origin ? origin : &default_origin, id);
    if (why)
        pf_text_add(t, ", %s", why);
}
