/* A port setting while it is read: the words at its end, and what is wrong with it.
 * Internal to net/. */
#ifndef PF_NET_READING_H
#define PF_NET_READING_H

#include "base/attr.h"
#include "base/error.h"
#include "net/endpoint.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    PF_READING_BYTES = 512,
    PF_IPV_STAR = 4, /* "*" was said: not to be confused with nothing said, which is 0 */
};

/* Who said something about ip versions; later ones are stronger. */
enum pf_ipv_source {
    PF_IPV_DEFAULT,
    PF_IPV_PORT,
    PF_IPV_HOST,
    PF_IPV_PROTO,
    PF_IPV_SOURCES,
};

struct pf_protocol {
    const char *word;
    enum pf_proto proto;
};

struct pf_reading {
    struct pf_error *error;
    char said[PF_READING_BYTES];        /* the setting as given, for sentences */
    char rest[PF_READING_BYTES];        /* what is not understood yet */
    bool is_path;                       /* it begins with a slash */
    const struct pf_protocol *protocol; /* NULL: not said yet */
    bool has_type;                      /* sock_stream or sock_dgram was said ... */
    enum pf_proto type;                 /* ... which makes a unix socket this */
    unsigned ipv[PF_IPV_SOURCES];       /* PF_IPV_* and PF_IPV_STAR; 0: not said */
};

/* The last word of a text and the separators before it. */
struct pf_suffix {
    char *gap; /* cut here to take the word off */
    char *word;
    bool slash; /* nothing but slashes divide it */
};

/* Begin with the text of a port: 0, or refused. */
PF_MUST_USE int pf_reading_start(struct pf_reading *r, const char *port);

/* Fill in the reading's error: one line, whatever the setting holds. Returns -EINVAL. */
int pf_reading_refuse(const struct pf_reading *r, const char *format, ...) PF_PRINTF(2, 3);

/* Does this character divide words? */
bool pf_reading_is_separator(char c);

/* True if s is not empty and has no other characters than those of set. */
bool pf_reading_consists_of(const char *s, const char *set);

/* Copy text without the blanks around it; false if it does not fit. */
bool pf_reading_copy(char *to, size_t size, const char *text);

/* Find the last word of s; false if s is but one word, or none. */
bool pf_reading_suffix(char *s, struct pf_suffix *ret_suffix);

/* Is text an IPv6 address, perhaps with an interface? */
bool pf_reading_is_ipv6(const char *text);

/* Does the word begin with "IPv", and say versions? */
bool pf_reading_is_ipv(const char *word);

/* Ip versions in any spelling: "*", "4", "v4v6", "IPv4, IPv6". Adds to *versions. 0, or
 * refused. */
PF_MUST_USE int pf_reading_add_ipv(const struct pf_reading *r, const char *text,
                                   unsigned *versions);

/* Take ip versions off the end of a host or a default protocol. 0, or refused. */
PF_MUST_USE int pf_reading_take_ipv(struct pf_reading *r, char *text,
                                    enum pf_ipv_source source);

#endif
