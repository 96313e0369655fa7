/* The words of a port setting.
 *
 * A setting is read from its end (net/endpoint.c). What that takes is here: finding the
 * last word, copying texts within bounds, ip versions in any spelling, and refusals that
 * quote the setting in one line, whatever it holds.
 *
 * Deliberately absent: what the words mean together. */
#include "net/reading.h"

#include <prefork/prefork.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A setting may hold anything; a sentence is one line. */
static void
hide_controls(char *s)
{
    for (; *s != '\0'; s++) {
        if (iscntrl((unsigned char)*s))
            *s = '?';
    }
}

int
pf_reading_refuse(const struct pf_reading *r, const char *format, ...)
{
    char why[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, sizeof why, format, args); /* cut is fine */
    va_end(args);
    hide_controls(why);
    return pf_error_set(r->error, PREFORK_EXIT_CONFIG, EINVAL, "port \"%.200s\": %s",
                        r->said, why);
}

bool
pf_reading_is_separator(char c)
{
    return c == ',' || c == '|' || c == ':' || c == '/' || isspace((unsigned char)c);
}

bool
pf_reading_consists_of(const char *s, const char *set)
{
    return *s != '\0' && s[strspn(s, set)] == '\0';
}

bool
pf_reading_copy(char *to, size_t size, const char *text)
{
    size_t length;

    while (isspace((unsigned char)*text))
        text++;
    length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    if (length >= size)
        return false;
    memcpy(to, text, length);
    to[length] = '\0';
    return true;
}

bool
pf_reading_suffix(char *s, struct pf_suffix *ret_suffix)
{
    char *word = s + strlen(s);
    char *gap;

    while (word > s && !pf_reading_is_separator(word[-1]))
        word--;
    gap = word;
    while (gap > s && pf_reading_is_separator(gap[-1]))
        gap--;
    if (*word == '\0' || gap == word || gap == s)
        return false;
    *ret_suffix = (struct pf_suffix){.gap = gap, .word = word};
    ret_suffix->slash = strspn(gap, "/") == (size_t)(word - gap);
    return true;
}

bool
pf_reading_is_ipv6(const char *text)
{
    size_t length = strcspn(text, "%");
    char address[INET6_ADDRSTRLEN];
    struct in6_addr unused;

    if (length >= sizeof address || strcmp(text + length, "%") == 0)
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    return inet_pton(AF_INET6, address, &unused) == 1;
}

bool
pf_reading_is_ipv(const char *word)
{
    return strncasecmp(word, "ipv", 3) == 0 &&
           pf_reading_consists_of(word + 3, "*0123456789");
}

int
pf_reading_add_ipv(const struct pf_reading *r, const char *text, unsigned *versions)
{
    const char *s = text;

    while (*s != '\0') {
        if (pf_reading_is_separator(*s)) {
            s++;
            continue;
        }
        if (strncasecmp(s, "ipv", 3) == 0)
            s += 3;
        else if (*s == 'v' || *s == 'V')
            s++;
        if (*s == '\0' || !strchr("*46", *s))
            return pf_reading_refuse(
                r, "ip version \"%.40s\" is not known: use 4, 6, both or *", text);
        for (; *s != '\0' && strchr("*46", *s); s++)
            *versions |= *s == '*'   ? (unsigned)PF_IPV_STAR
                         : *s == '4' ? PF_IPV_4
                                     : PF_IPV_6;
    }
    return 0;
}

int
pf_reading_take_ipv(struct pf_reading *r, char *text, enum pf_ipv_source source)
{
    struct pf_suffix x;
    int e;

    while (pf_reading_suffix(text, &x) && pf_reading_is_ipv(x.word)) {
        e = pf_reading_add_ipv(r, x.word, &r->ipv[source]);
        if (e < 0)
            return e;
        *x.gap = '\0';
    }
    return 0;
}

int
pf_reading_start(struct pf_reading *r, const char *port)
{
    (void)snprintf(r->said, sizeof r->said, "%s", port); /* for sentences, cut is fine */
    hide_controls(r->said);
    if (!pf_reading_copy(r->rest, sizeof r->rest, port))
        return pf_reading_refuse(r, "it is too long");
    if (r->rest[0] == '\0')
        return pf_reading_refuse(r, "the port is missing");
    r->is_path = r->rest[0] == '/';
    return 0;
}
