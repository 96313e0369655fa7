/* Names of signals in a setting. */
#ifndef PF_CONFIG_SIGNALS_H
#define PF_CONFIG_SIGNALS_H

#include "base/attr.h"
#include "base/error.h"

#include <stdint.h>

/* Add the signals named in text to *set (bit n - 1 is signal n): names with or without SIG,
 * or numbers, separated by blanks or commas. 0, or -EINVAL with the sentence in error and
 * *set unchanged: no such signal, or one that cannot be passed on. */
PF_MUST_USE int pf_signals_parse(const char *text, uint64_t *set, struct pf_error *error);

#endif
