/* Bounded text: building it, and reading numbers, sizes and spans of time from it.
 *
 * Nothing here allocates except pf_text_copy. Nothing writes past the bound: text that
 * does not fit is cut and stays terminated. */
#ifndef PF_BASE_TEXT_H
#define PF_BASE_TEXT_H

#include "base/attr.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text under construction in a caller's buffer. */
struct pf_text {
    char *bytes;     /* borrowed; always terminated */
    size_t capacity; /* bytes, the terminator included; at least 1 */
    size_t length;   /* bytes in use, without the terminator */
    bool cut;        /* something did not fit */
};

/* Start with an empty text in buffer (borrowed, at least one byte). */
void pf_text_init(struct pf_text *t, char *buffer, size_t capacity);

/* Append. What does not fit is cut, and t->cut says so. */
void pf_text_add(struct pf_text *t, const char *format, ...) PF_PRINTF(2, 3);

/* Whole decimal number, no sign, no blanks. 0, -EINVAL (not a number), -ERANGE.
 * *ret_number is untouched on failure. */
PF_MUST_USE int pf_text_number(const char *s, uint64_t *ret_number);

/* Octal number of up to 07777, with or without leading 0: 0, -EINVAL, -ERANGE. */
PF_MUST_USE int pf_text_mode(const char *s, unsigned *ret_mode);

/* Seconds with optional decimal fraction ("10", "0.25") as a span: 0, -EINVAL, -ERANGE. */
PF_MUST_USE int pf_text_seconds(const char *s, pf_time *ret_span);

/* A yes or a no: 1 yes on true / 0 no off false, in any case. 0 or -EINVAL. */
PF_MUST_USE int pf_text_flag(const char *s, bool *ret_flag);

/* How many single-letter edits lead from a to b; used to guess what was meant. */
unsigned pf_text_distance(const char *a, const char *b);

/* True if s begins with the words of prefix. */
bool pf_text_begins(const char *s, const char *prefix);

/* A copy of s on the heap (given), or NULL when memory is out. */
char *pf_text_copy(const char *s);

#endif
