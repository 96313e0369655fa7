/* The table of settings and their values: where all sources meet.
 *
 * A value is kept as the text it was given in, with its origin, and beside it as the
 * number that text means. Scalars are lists of one. Defaults go through the same check
 * as everything else, so a bad row of settings.def shows in the first test.
 *
 * What always holds: every stored text passed the check of its type, has no control
 * character but tabs, is not empty and neither begins nor ends with a blank. That is why
 * pf_config_print() can write any of them in the grammar of the file.
 *
 * Rules between settings are not here (config/check.c), nor is what a text means in
 * another room, such as the grammar of a port. */
#include "config/setting.h"

#include <prefork/prefork.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUOTED_BYTES = 80,   /* of a key or value in a sentence; more is cut */
    SUBJECT_BYTES = 256, /* "x.conf:4: max_servers" */
    NEAR = 3,            /* edits by which a guess may be off */
};

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

struct pf_settings {
    struct value values[PF_SETTING_COUNT_OF];
    char **files; /* owned, with their strings; origins borrow them */
    unsigned file_count;
};

/* ---- the table ------------------------------------------------------------------- */

static const struct pf_setting rows[] = {
#define PF_SETTING(id, group, key, type, initial, min, max, unit, number, applies,         \
                   aliases, words, help, manual)                                           \
    [PF_SETTING_##id] = {group,                                                            \
                         key,                                                              \
                         PF_TYPE_##type,                                                   \
                         initial,                                                          \
                         min,                                                              \
                         max,                                                              \
                         unit,                                                             \
                         PF_NUMBER_##number,                                               \
                         PF_APPLIES_##applies,                                             \
                         aliases,                                                          \
                         words,                                                            \
                         help,                                                             \
                         manual},
#include "config/settings.def"
#undef PF_SETTING
};

const struct pf_setting *
pf_setting_row(enum pf_setting_id id)
{
    PF_ASSERT((size_t)id < PF_COUNT(rows));
    return &rows[id];
}

static char
plain(char c)
{
    return c == '-' ? '_' : c;
}

/* True if key, read with "-" as "_", is the word of length bytes. */
static bool
is_word(const char *key, const char *word, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (plain(key[i]) != word[i])
            return false;
    }
    return key[length] == '\0';
}

/* The next of several words separated by blanks: moves *words behind it and gives its
 * length, 0 at the end. The word itself then is *words - length. */
static size_t
next_word(const char **words)
{
    size_t length;

    *words += strspn(*words, " ");
    length = strcspn(*words, " ");
    *words += length;
    return length;
}

/* The index of key among words, or -1. */
static int
word_index(const char *key, const char *words)
{
    size_t length;

    for (int i = 0; (length = next_word(&words)) > 0; i++) {
        if (is_word(key, words - length, length))
            return i;
    }
    return -1;
}

int
pf_setting_find(const char *key, enum pf_setting_id *ret_id)
{
    for (unsigned i = 0; i < PF_COUNT(rows); i++) {
        if (is_word(key, rows[i].key, strlen(rows[i].key)) ||
            word_index(key, rows[i].aliases) >= 0) {
            *ret_id = (enum pf_setting_id)i;
            return 0;
        }
    }
    return -ENOENT;
}

/* A guess in progress. */
struct guess {
    char key[QUOTED_BYTES]; /* with "_" for "-" */
    const char *word;
    size_t length;
    unsigned distance;
};

static void
guess_among(struct guess *guess, const char *words)
{
    char word[QUOTED_BYTES];
    size_t length;
    unsigned distance;

    while ((length = next_word(&words)) > 0) {
        (void)snprintf(word, sizeof word, "%.*s", (int)length, words - length);
        distance = pf_text_distance(guess->key, word);
        if (distance < guess->distance) {
            guess->word = words - length;
            guess->length = length;
            guess->distance = distance;
        }
    }
}

const char *
pf_setting_nearest(const char *key, size_t *ret_length)
{
    struct guess guess = {.distance = NEAR + 1};
    size_t length = strlen(key);

    if (length >= sizeof guess.key)
        return NULL;
    for (size_t i = 0; i < length; i++)
        guess.key[i] = plain(key[i]);
    for (size_t i = 0; i < PF_COUNT(rows); i++) {
        guess_among(&guess, rows[i].key);
        guess_among(&guess, rows[i].aliases);
    }
    /* With half of its letters changed any short word becomes any other. */
    if (!guess.word || guess.distance * 2 > length)
        return NULL;
    *ret_length = guess.length;
    return guess.word;
}

/* ---- words of sentences ---------------------------------------------------------- */

static bool
is_control(char c)
{
    return ((unsigned char)c < ' ' && c != '\t') || c == 127;
}

/* Append s, cut to what belongs in a sentence, without anything that would break a line
 * or a terminal. */
static void
add_printable(struct pf_text *t, const char *s)
{
    for (size_t i = 0; s[i] != '\0'; i++) {
        if (i == QUOTED_BYTES) {
            pf_text_add(t, "...");
            return;
        }
        pf_text_add(t, "%c", is_control(s[i]) ? '?' : s[i]);
    }
}

/* Append "--key" with dashes. */
static void
add_option(struct pf_text *t, const char *key)
{
    char buffer[QUOTED_BYTES + 4];
    struct pf_text option;

    pf_text_init(&option, buffer, sizeof buffer);
    add_printable(&option, key);
    for (size_t i = 0; i < option.length; i++) {
        if (buffer[i] == '_')
            buffer[i] = '-';
    }
    pf_text_add(t, "--%s", buffer);
}

void
pf_origin_add(struct pf_text *t, const struct pf_origin *origin, enum pf_setting_id id)
{
    switch (origin->kind) {
    case PF_ORIGIN_DEFAULT: pf_text_add(t, "default"); break;
    case PF_ORIGIN_PROGRAM: pf_text_add(t, "configure_hook"); break;
    case PF_ORIGIN_FILE:
        add_printable(t, origin->file);
        pf_text_add(t, ":%u", origin->line);
        break;
    case PF_ORIGIN_CALL: pf_text_add(t, "prefork_set"); break;
    case PF_ORIGIN_ARGUMENT: add_option(t, pf_setting_row(id)->key); break;
    }
}

void
pf_origin_add_subject(struct pf_text *t, const struct pf_origin *origin, const char *key)
{
    switch (origin->kind) {
    case PF_ORIGIN_FILE:
        add_printable(t, origin->file);
        pf_text_add(t, ":%u: ", origin->line);
        break;
    case PF_ORIGIN_PROGRAM:
    case PF_ORIGIN_CALL: pf_text_add(t, "prefork_set: "); break;
    case PF_ORIGIN_ARGUMENT: add_option(t, key); return;
    case PF_ORIGIN_DEFAULT: break;
    }
    add_printable(t, key);
}

/* ---- checking one value ---------------------------------------------------------- */

/* A value on its way in, and where complaints about it go. */
struct entry {
    enum pf_setting_id id;
    const char *key; /* as it was written: maybe an alias, maybe with dashes */
    const char *value;
    const struct pf_origin *origin;
    struct pf_error *error;
};

/* Say that the value is wrong: "x.conf:4: max_servers: "many" is not a whole number". */
static int
refuse(const struct entry *e, int errnum, const char *what)
{
    char subject_bytes[SUBJECT_BYTES];
    char value_bytes[QUOTED_BYTES + 4];
    struct pf_text subject;
    struct pf_text value;

    pf_text_init(&subject, subject_bytes, sizeof subject_bytes);
    pf_origin_add_subject(&subject, e->origin, e->key);
    pf_text_init(&value, value_bytes, sizeof value_bytes);
    add_printable(&value, e->value);
    return pf_error_set(e->error, PREFORK_EXIT_CONFIG, errnum, "%s: \"%s\" %s",
                        subject_bytes, value_bytes, what);
}

/* The same, with the bounds of the row. */
static int
refuse_number(const struct entry *e, int r, const char *kind)
{
    const struct pf_setting *row = pf_setting_row(e->id);
    char buffer[SUBJECT_BYTES];
    struct pf_text what;

    pf_text_init(&what, buffer, sizeof buffer);
    if (r == -ERANGE)
        pf_text_add(&what, "is out of range");
    else
        pf_text_add(&what, "is not %s", kind);
    pf_text_add(&what, "; %.10g to %.10g is allowed", row->min, row->max);
    return refuse(e, -r, buffer);
}

static int
check_number(const struct entry *e, int64_t *ret_number)
{
    const struct pf_setting *row = pf_setting_row(e->id);
    uint64_t n = 0;
    int r;

    r = pf_text_number(e->value, &n);
    if (r == 0 && ((double)n < row->min || (double)n > row->max))
        r = -ERANGE;
    if (r < 0)
        return refuse_number(e, r, "a whole number");
    *ret_number = (int64_t)n;
    return 0;
}

static int
check_seconds(const struct entry *e, int64_t *ret_number)
{
    const struct pf_setting *row = pf_setting_row(e->id);
    pf_time span = 0;
    double seconds;
    int r;

    r = pf_text_seconds(e->value, &span);
    seconds = (double)span / (double)PF_SECOND;
    if (r == 0 && (seconds < row->min || seconds > row->max))
        r = -ERANGE;
    if (r < 0)
        return refuse_number(e, r, "a number of seconds such as 10 or 0.5");
    *ret_number = span;
    return 0;
}

static int
check_flag(const struct entry *e, int64_t *ret_number)
{
    bool flag;

    if (pf_text_flag(e->value, &flag) < 0)
        return refuse(e, EINVAL, "is neither 1, yes, on, true nor 0, no, off, false");
    *ret_number = flag;
    return 0;
}

static int
check_mode(const struct entry *e, int64_t *ret_number)
{
    unsigned mode;

    if (pf_text_mode(e->value, &mode) < 0)
        return refuse(e, EINVAL, "is not an octal mode such as 0660");
    *ret_number = mode;
    return 0;
}

static int
check_choice(const struct entry *e, int64_t *ret_number)
{
    const char *words = pf_setting_row(e->id)->words;
    int index = word_index(e->value, words);
    char buffer[SUBJECT_BYTES];
    struct pf_text what;
    size_t length;

    if (index < 0) {
        pf_text_init(&what, buffer, sizeof buffer);
        pf_text_add(&what, "is not one of");
        for (unsigned i = 0; (length = next_word(&words)) > 0; i++)
            pf_text_add(&what, "%s %.*s", i > 0 ? "," : "", (int)length, words - length);
        return refuse(e, EINVAL, buffer);
    }
    *ret_number = index;
    return 0;
}

/* What every value must be, whatever its type. */
static int
check_shape(const struct entry *e)
{
    const char *blanks = " \t";
    size_t length = strlen(e->value);

    if (length == 0)
        return refuse(e, EINVAL, "is empty; a value is needed");
    for (size_t i = 0; i < length; i++) {
        if (is_control(e->value[i]))
            return refuse(e, EINVAL, "has a control character in it");
    }
    if (strchr(blanks, e->value[0]) || strchr(blanks, e->value[length - 1]))
        return refuse(e, EINVAL, "begins or ends with a blank");
    return 0;
}

/* *ret_number is what the value means; untouched for text and on failure. */
static int
check_value(const struct entry *e, int64_t *ret_number)
{
    int r;

    r = check_shape(e);
    if (r < 0)
        return r;
    switch (pf_setting_row(e->id)->type) {
    case PF_TYPE_FLAG: return check_flag(e, ret_number);
    case PF_TYPE_COUNT:
    case PF_TYPE_PERCENT: return check_number(e, ret_number);
    case PF_TYPE_SECONDS: return check_seconds(e, ret_number);
    case PF_TYPE_CHOICE: return check_choice(e, ret_number);
    case PF_TYPE_MODE: return check_mode(e, ret_number);
    case PF_TYPE_TEXT:
    case PF_TYPE_PATH: break;
    }
    return 0;
}

static int
refuse_key(const char *key, const struct pf_origin *origin, struct pf_error *error)
{
    bool argument = origin->kind == PF_ORIGIN_ARGUMENT;
    int exit_code = argument ? PREFORK_EXIT_USAGE : PREFORK_EXIT_CONFIG;
    char buffer[PF_ERROR_TEXT_BYTES];
    char word[QUOTED_BYTES];
    struct pf_text t;
    const char *near;
    size_t length;

    pf_text_init(&t, buffer, sizeof buffer);
    pf_origin_add_subject(&t, origin, key);
    pf_text_add(&t, argument ? ": unknown option" : ": unknown setting");
    near = pf_setting_nearest(key, &length);
    if (near) {
        (void)snprintf(word, sizeof word, "%.*s", (int)length, near);
        pf_text_add(&t, "; did you mean ");
        if (argument)
            add_option(&t, word);
        else
            pf_text_add(&t, "%s", word);
        pf_text_add(&t, "?");
    }
    return pf_error_set(error, exit_code, ENOENT, "%s", buffer);
}

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
store(struct pf_settings *s, const struct entry *e, int64_t number)
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

static int
check_and_store(struct pf_settings *s, const struct entry *e)
{
    int64_t number = 0;
    int r;

    r = check_value(e, &number);
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
    struct entry e = {.key = key, .value = value, .origin = origin, .error = error};

    if (pf_setting_find(key, &e.id) < 0)
        return refuse_key(key, origin, error);
    return check_and_store(settings, &e);
}

/* ---- defaults -------------------------------------------------------------------- */

static const struct pf_origin default_origin = {.kind = PF_ORIGIN_DEFAULT};

int
pf_settings_adapt(struct pf_settings *settings, enum pf_setting_id id, const char *value,
                  const char *why, struct pf_error *error)
{
    struct entry e = {id, pf_setting_row(id)->key, value, &default_origin, error};
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
    struct entry e = {id, row->key, row->initial, &default_origin, error};

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
