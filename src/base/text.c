/* Bounded text and the numbers in it.
 *
 * Numbers are read strictly: a setting of "10x" or "-1" or " 10" is an error that names
 * the setting, not a 10. strtoull() accepts all three, which is why digits are checked
 * here first. */
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void
pf_text_init(struct pf_text *t, char *buffer, size_t capacity)
{
    PF_ASSERT(capacity > 0);
    *t = (struct pf_text){.bytes = buffer, .capacity = capacity};
    buffer[0] = '\0';
}

void
pf_text_add(struct pf_text *t, const char *format, ...)
{
    size_t room = t->capacity - t->length;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->bytes + t->length, room, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= room) {
        t->cut = true;
        t->length = strlen(t->bytes);
    } else {
        t->length += (size_t)n;
    }
}

static bool
is_digits(const char *s, const char *digits)
{
    return *s != '\0' && s[strspn(s, digits)] == '\0';
}

static int
read_number(const char *s, int base, const char *digits, uint64_t *ret_number)
{
    unsigned long long n;

    if (!is_digits(s, digits))
        return -EINVAL;
    errno = 0;
    n = strtoull(s, NULL, base);
    if (errno != 0)
        return -errno;
    *ret_number = n;
    return 0;
}

int
pf_text_number(const char *s, uint64_t *ret_number)
{
    return read_number(s, 10, "0123456789", ret_number);
}

int
pf_text_mode(const char *s, unsigned *ret_mode)
{
    uint64_t n = 0;
    int r;

    r = read_number(s, 8, "01234567", &n);
    if (r < 0)
        return r;
    if (n > 07777)
        return -ERANGE;
    *ret_mode = (unsigned)n;
    return 0;
}

/* The digits after the point, as microseconds; digits past the sixth are dropped. */
static int
read_fraction(const char *s, pf_time *ret_microseconds)
{
    pf_time value = 0;
    pf_time unit = PF_SECOND / 10;

    if (!is_digits(s, "0123456789"))
        return -EINVAL;
    for (; *s != '\0'; s++, unit /= 10)
        value += (*s - '0') * unit;
    *ret_microseconds = value;
    return 0;
}

int
pf_text_seconds(const char *s, pf_time *ret_span)
{
    const char *point = strchr(s, '.');
    size_t whole_length = point ? (size_t)(point - s) : strlen(s);
    pf_time fraction = 0;
    char whole[24];
    uint64_t seconds = 0;
    int r;

    if (whole_length >= sizeof whole)
        return -ERANGE;
    memcpy(whole, s, whole_length);
    whole[whole_length] = '\0';
    r = pf_text_number(whole, &seconds);
    if (r == 0 && point)
        r = read_fraction(point + 1, &fraction);
    if (r < 0)
        return r;
    if (seconds > (uint64_t)(INT64_MAX / PF_SECOND) / 4)
        return -ERANGE;
    *ret_span = (pf_time)seconds * PF_SECOND + fraction;
    return 0;
}

int
pf_text_flag(const char *s, bool *ret_flag)
{
    static const struct {
        const char *word;
        bool flag;
    } words[] = {
        {"1", true},  {"yes", true}, {"on", true},   {"true", true},
        {"0", false}, {"no", false}, {"off", false}, {"false", false},
    };

    for (size_t i = 0; i < PF_COUNT(words); i++) {
        if (strcasecmp(s, words[i].word) == 0) {
            *ret_flag = words[i].flag;
            return 0;
        }
    }
    return -EINVAL;
}

/* Levenshtein's distance with one row of memory; words longer than the row are far. */
unsigned
pf_text_distance(const char *a, const char *b)
{
    unsigned row[64];
    size_t length = strlen(b);

    if (length >= PF_COUNT(row))
        return UINT_MAX;
    for (size_t j = 0; j <= length; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < length; j++) {
            unsigned replace = diagonal + (a[i] != b[j]);
            unsigned insert = row[j] + 1;
            unsigned remove = row[j + 1] + 1;
            diagonal = row[j + 1];
            row[j + 1] = replace < insert ? replace : insert;
            if (remove < row[j + 1])
                row[j + 1] = remove;
        }
    }
    return row[length];
}

bool
pf_text_begins(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

char *
pf_text_copy(const char *s)
{
    return strdup(s);
}
