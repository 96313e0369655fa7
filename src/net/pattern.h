/* Patterns that a whole text has to match: regular expressions of Perl's kind (PCRE2).
 *
 * Made at start; matched in workers. Matching allocates nothing that lasts, and its effort
 * has a limit, which is the only surprise a pattern can give. */
#ifndef PF_NET_PATTERN_H
#define PF_NET_PATTERN_H

#include "base/attr.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct pf_pattern {
    void *code;           /* owned; the library's */
    bool is_machine_code; /* or else it is interpreted */
    char *text;           /* owned */
};

/* Patterns in the order they were added. Start with a zeroed one. */
struct pf_patterns {
    struct pf_pattern *table; /* owned */
    size_t count;
};

enum pf_match {
    PF_MATCH_NO,
    PF_MATCH_YES,
    PF_MATCH_UNDECIDED, /* the limit was reached: nobody knows */
};

/* Compile and add. text is copied. 0, -ENOMEM, -EINVAL with a sentence in error that
 * says what is wrong, and where in the pattern, or -ELIBACC with one: there is no PCRE2. */
PF_MUST_USE int pf_patterns_add(struct pf_patterns *set, const char *text,
                                struct pf_error *error);

/* The first pattern that does not answer no for this text, and its answer. *ret_pattern is
 * its text (borrowed), untouched if all say no. Letters match in either case. */
enum pf_match pf_patterns_match(const struct pf_patterns *set, const char *text,
                                const char **ret_pattern);

/* True if a text needs a letter from g to z to match, so that no address can. False where
 * that cannot be told by looking at the plain letters of the pattern. */
bool pf_pattern_needs_name(const char *text);

/* Release everything. A zeroed one is fine. */
void pf_patterns_deinit(struct pf_patterns *set);

#endif
