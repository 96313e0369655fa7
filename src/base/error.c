/* The sentence a person reads when something could not be started.
 *
 * One struct, filled once. It carries no allocation and no state, so it works before,
 * after and instead of everything else. It does not print: api/ and cli/ decide where
 * a sentence goes. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int
pf_error_set(struct pf_error *error, int exit_code, int errnum, const char *format, ...)
{
    va_list args;

    if (error && error->text[0] == '\0') {
        error->exit_code = exit_code;
        va_start(args, format);
        (void)vsnprintf(error->text, sizeof error->text, format, args); /* cut is fine */
        va_end(args);
    }
    return -errnum;
}

void
pf_assert_failed(const char *what, const char *file, int line)
{
    (void)fprintf(stderr, "prefork: bug: \"%s\" does not hold at %s:%d\n", what, file,
                  line);
    abort();
}
