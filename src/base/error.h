/* How failures travel: a code for the caller, a sentence for the person.
 *
 * Internal functions return int. 0 is success. A negative errno is unexpected: it goes
 * up unchanged. A positive code is a documented outcome of that one function; its direct
 * caller handles it and never passes it on.
 *
 * Start-up is the one place where the lowest room knows what a person needs to read
 * ("port 80 on 127.0.0.1: permission denied; ..."). Such functions take a
 * struct pf_error *, fill it once with the sentence and the exit code that fits, and
 * return the negative errno as always. Nobody else writes sentences. */
#ifndef PF_BASE_ERROR_H
#define PF_BASE_ERROR_H

#include "base/attr.h"

enum {
    PF_ERROR_TEXT_BYTES = 512,
};

struct pf_error {
    int exit_code;                  /* of enum prefork_exit; 0 while nothing went wrong */
    char text[PF_ERROR_TEXT_BYTES]; /* one line without newline: what, where, what to do */
};

/* Fill *error and return -errnum, so that a caller can write
 * `return pf_error_set(error, PREFORK_EXIT_SYSTEM, errno, "...")`. The first sentence
 * wins: an error that is already set is left as it is. error may be NULL. */
int pf_error_set(struct pf_error *error, int exit_code, int errnum, const char *format, ...)
    PF_PRINTF(4, 5);

#endif
