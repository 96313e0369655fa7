/* The grammar of config files.
 *
 * One line at a time is copied into a buffer of fixed size, without its comment; there
 * it is cut into key and value, which go to pf_settings_set(). The text is never read
 * past its length and never written.
 *
 * One pair of quotes around a value is taken off, because people put them there; inside
 * nothing means anything, and a # still begins a comment.
 *
 * What is not there, on purpose: escapes other than \#, percent codes, continued lines,
 * sections, includes. A value is what stands on the line. */
#include "config/parse.h"

#include "base/text.h"
#include "config/setting.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define BLANKS "\t "
#define ENDING BLANKS "\r" /* of a line, without meaning */
#define KEY_LETTERS                                                                        \
    "abcdefghijklmnopqrstuvwxyz"                                                           \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"                                                           \
    "0123456789_-"

enum {
    KEY_BYTES = 80, /* of a key in a line that is not read */
};

struct parser {
    struct pf_settings *settings;
    struct pf_error *error;
    struct pf_origin origin; /* the line that is being read */
    char line[PF_PARSE_LINE_BYTES + 1];
};

/* Say what is wrong with the shape of the line; key may be NULL. */
static int
refuse(struct parser *p, const char *key, const char *what)
{
    char buffer[PF_ERROR_TEXT_BYTES];
    struct pf_text t;

    pf_text_init(&t, buffer, sizeof buffer);
    if (key) {
        pf_origin_add_subject(&t, &p->origin, key);
    } else {
        pf_origin_add(&t, &p->origin, PF_SETTING_CONF_FILE);
    }
    return pf_error_set(p->error, PREFORK_EXIT_CONFIG, EINVAL, "%s: %s", buffer, what);
}

/* Length without blanks and carriage returns at the end. */
static size_t
trimmed(const char *bytes, size_t length)
{
    while (length > 0 && memchr(ENDING, bytes[length - 1], sizeof ENDING - 1))
        length--;
    return length;
}

static bool
has_control(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if ((c < ' ' && c != '\t') || c == 127)
            return true;
    }
    return false;
}

/* Copy the line into p->line, up to its comment, with \# as #. */
static void
copy_line(struct parser *p, const char *bytes, size_t length)
{
    size_t used = 0;

    for (size_t i = 0; i < length && bytes[i] != '#'; i++) {
        if (bytes[i] == '\\' && i + 1 < length && bytes[i + 1] == '#')
            i++;
        p->line[used++] = bytes[i];
    }
    p->line[trimmed(p->line, used)] = '\0';
}

/* Skip what stands between key and value: blanks, with at most one = or : among them.
 * *ret_sign tells whether there was one. Two colons behind a blank are no sign but the
 * beginning of an IPv6 address. */
static char *
skip_separator(char *s, bool *ret_sign)
{
    char *key_end = s;

    s += strspn(s, BLANKS);
    *ret_sign = *s == '=' || (*s == ':' && (s == key_end || s[1] != ':'));
    if (*ret_sign)
        s++;
    return s + strspn(s, BLANKS);
}

/* A key that stands alone: fine for flags. */
static int
set_alone(struct parser *p, const char *key)
{
    enum pf_setting_id id;
    const char *flag;

    if (pf_setting_negated(key, &flag) == 0)
        return pf_settings_set(p->settings, flag, "0", &p->origin, p->error);
    if (pf_setting_find(key, &id) == 0 && pf_setting_row(id)->type != PF_TYPE_FLAG)
        return refuse(p, key, "a value is needed");
    return pf_settings_set(p->settings, key, "1", &p->origin, p->error);
}

/* Take a pair of quotes off; value is changed. NULL: there is only the first one. */
static char *
unquoted(char *value)
{
    size_t length = strlen(value);

    if (*value != '"' && *value != '\'')
        return value;
    if (length < 2 || value[length - 1] != value[0])
        return NULL;
    value[length - 1] = '\0';
    return value + 1;
}

static int
set_entry(struct parser *p, const char *key, char *value)
{
    enum pf_setting_id id;
    const char *flag;

    if (pf_setting_find(key, &id) == 0 && id == PF_SETTING_CONF_FILE)
        return refuse(p, key, "a config file cannot name another one");
    if (pf_setting_negated(key, &flag) == 0)
        return refuse(p, key, "takes no value");
    value = unquoted(value);
    if (!value)
        return refuse(p, key,
                      "a quote at the beginning of the value is not closed at its end; a # "
                      "that begins no comment is written \\#");
    return pf_settings_set(p->settings, key, value, &p->origin, p->error);
}

/* Cut p->line into key and value. */
static int
parse_entry(struct parser *p)
{
    char *key = p->line + strspn(p->line, BLANKS);
    char *end;
    char *value;
    bool sign;

    if (*key == '\0')
        return 0;
    if (pf_text_begins(key, "--"))
        key += 2;
    end = key + strspn(key, KEY_LETTERS);
    if (end == key)
        return refuse(p, NULL, "a line begins with the name of a setting");
    value = skip_separator(end, &sign);
    if (value == end && *end != '\0')
        return refuse(p, NULL, "between a setting and its value stands a blank, = or :");
    *end = '\0';
    if (*value == '\0' && !sign)
        return set_alone(p, key);
    return set_entry(p, key, value);
}

/* A line that cannot be read is known by the key it begins with, if it does. */
static int
refuse_line(struct parser *p, const char *bytes, size_t length, const char *what)
{
    char key[KEY_BYTES];
    size_t used = 0;

    while (length > 0 && memchr(BLANKS "-", *bytes, sizeof(BLANKS "-") - 1)) {
        bytes++;
        length--;
    }
    while (used < length && used + 1 < sizeof key && bytes[used] != '\0' &&
           strchr(KEY_LETTERS, bytes[used])) {
        key[used] = bytes[used];
        used++;
    }
    key[used] = '\0';
    return refuse(p, used > 0 ? key : NULL, what);
}

static int
parse_line(struct parser *p, const char *bytes, size_t length)
{
    length = trimmed(bytes, length);
    if (length > PF_PARSE_LINE_BYTES)
        return refuse_line(p, bytes, length, "the line is longer than 4096 bytes");
    if (has_control(bytes, length))
        return refuse_line(p, bytes, length, "there is a control character in the line");
    copy_line(p, bytes, length);
    return parse_entry(p);
}

int
pf_parse_config(struct pf_settings *settings, const char *name, const char *text,
                size_t length, struct pf_error *error)
{
    struct parser p = {
        .settings = settings,
        .error = error,
        .origin = {.kind = PF_ORIGIN_FILE, .file = name},
    };
    int r = 0;

    while (length > 0 && r == 0) {
        const char *newline = memchr(text, '\n', length);
        size_t line = newline ? (size_t)(newline - text) : length;
        size_t skip = newline ? line + 1 : line;

        p.origin.line++;
        r = parse_line(&p, text, line);
        text += skip;
        length -= skip;
    }
    return r;
}
