/* One value on its way into the settings: is it one, and the sentence if it is not.
 *
 * A value is first checked for what every value must be (check_shape()), then by the type
 * of its row. A sentence begins with its subject, which is where the key was written and
 * how, so that the person finds the place; then comes the value, then what is wrong.
 *
 * What always holds: whatever was given, a sentence is one line with no control character
 * but tabs; of a key or a value it shows the first QUOTED_BYTES at most, and of a file name
 * the last FILE_BYTES, because its end is what tells files apart.
 *
 * Deliberately absent: storing and ranks (config/setting.c), rules between settings
 * (config/check.c), what a text means in another room, such as the grammar of a port. */
#include "config/entry.h"

#include <prefork/prefork.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    QUOTED_BYTES = 80,   /* of a key or value in a sentence; more is cut */
    FILE_BYTES = 200,    /* of the name of a file; the front is cut */
    SUBJECT_BYTES = 320, /* "x.conf:4: max_servers" */
    VALUE_BYTES = 4095,  /* of any value: a path has no more, and a line of a file */
};

/* ---- origins as text ------------------------------------------------------------- */

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

/* Append the name of a file: its end, if it is long, from the beginning of a letter on. */
static void
add_file(struct pf_text *t, const char *file)
{
    size_t length = strlen(file);

    if (length > FILE_BYTES) {
        file += length - FILE_BYTES;
        while (((unsigned char)*file & 0xc0) == 0x80)
            file++; /* inside of a letter in UTF-8 */
        pf_text_add(t, "...");
    }
    for (; *file != '\0'; file++)
        pf_text_add(t, "%c", is_control(*file) ? '?' : *file);
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
        add_file(t, origin->file);
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
        add_file(t, origin->file);
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

/* Say that the value is wrong: "x.conf:4: max_servers: "many" is not a whole number". */
static int
refuse(const struct pf_entry *e, int errnum, const char *what)
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
refuse_number(const struct pf_entry *e, int r, const char *kind)
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
check_number(const struct pf_entry *e, int64_t *ret_number)
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
check_seconds(const struct pf_entry *e, int64_t *ret_number)
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
check_flag(const struct pf_entry *e, int64_t *ret_number)
{
    bool flag;

    if (pf_text_flag(e->value, &flag) < 0)
        return refuse(e, EINVAL, "is neither 1, yes, on, true nor 0, no, off, false");
    *ret_number = flag;
    return 0;
}

static int
check_mode(const struct pf_entry *e, int64_t *ret_number)
{
    const struct pf_setting *row = pf_setting_row(e->id);
    char what[SUBJECT_BYTES];
    unsigned mode = 0;
    int r = pf_text_mode(e->value, &mode);

    if (r == 0 && (mode < row->min || mode > row->max))
        r = -ERANGE;
    if (r < 0) {
        (void)snprintf(what, sizeof what,
                       "is %s; an octal number from %04o to %04o is allowed",
                       r == -ERANGE ? "out of range" : "not an octal mode",
                       (unsigned)row->min, (unsigned)row->max);
        return refuse(e, -r, what);
    }
    *ret_number = mode;
    return 0;
}

static int
check_choice(const struct pf_entry *e, int64_t *ret_number)
{
    const char *words = pf_setting_row(e->id)->words;
    int index = pf_words_index(e->value, words);
    char buffer[SUBJECT_BYTES];
    struct pf_text what;
    size_t length;

    if (index < 0) {
        pf_text_init(&what, buffer, sizeof buffer);
        pf_text_add(&what, "is not one of");
        for (unsigned i = 0; (length = pf_words_next(&words)) > 0; i++)
            pf_text_add(&what, "%s %.*s", i > 0 ? "," : "", (int)length, words - length);
        return refuse(e, EINVAL, buffer);
    }
    *ret_number = index;
    return 0;
}

/* What every value must be, whatever its type. */
static int
check_shape(const struct pf_entry *e)
{
    const char *blanks = " \t";
    size_t length = strlen(e->value);

    if (length == 0)
        return refuse(e, EINVAL, "is empty; a value is needed");
    if (length > VALUE_BYTES)
        return refuse(e, EINVAL, "is longer than 4095 bytes");
    for (size_t i = 0; i < length; i++) {
        if (is_control(e->value[i]))
            return refuse(e, EINVAL, "has a control character in it");
    }
    if (strchr(blanks, e->value[0]) || strchr(blanks, e->value[length - 1]))
        return refuse(e, EINVAL, "begins or ends with a blank");
    return 0;
}

int
pf_entry_check(const struct pf_entry *e, int64_t *ret_number)
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

int
pf_entry_refuse_key(const struct pf_entry *e)
{
    bool argument = e->origin->kind == PF_ORIGIN_ARGUMENT;
    int exit_code = argument ? PREFORK_EXIT_USAGE : PREFORK_EXIT_CONFIG;
    char buffer[PF_ERROR_TEXT_BYTES];
    char word[QUOTED_BYTES];
    struct pf_text t;
    const char *near;
    size_t length;

    pf_text_init(&t, buffer, sizeof buffer);
    pf_origin_add_subject(&t, e->origin, e->key);
    pf_text_add(&t, argument ? ": unknown option" : ": unknown setting");
    near = pf_setting_nearest(e->key, &length);
    if (near) {
        (void)snprintf(word, sizeof word, "%.*s", (int)length, near);
        pf_text_add(&t, "; did you mean ");
        if (argument)
            add_option(&t, word);
        else
            pf_text_add(&t, "%s", word);
        pf_text_add(&t, "?");
    }
    return pf_error_set(e->error, exit_code, ENOENT, "%s", buffer);
}
