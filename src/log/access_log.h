/* The access log: a file of the program's own lines, one write(2) each.
 *
 * Nothing is put before a line. It never blocks; what cannot be written is lost, counted
 * for all processes together, and told in the log: once when it begins, and once with the
 * number when lines get through again. */
#ifndef PF_LOG_ACCESS_LOG_H
#define PF_LOG_ACCESS_LOG_H

#include "base/attr.h"
#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>

/* Append to the file at path (borrowed). Before anything is forked that writes to it. 0, or
 * a negative errno with the sentence and PREFORK_EXIT_SYSTEM; then it is not open. */
PF_MUST_USE int pf_access_log_open(const char *path, struct pf_error *error);

/* Tell what was lost, and close it. Nothing if it is not open. */
void pf_access_log_close(void);

bool pf_access_log_is_open(void);

/* The program's line, as prefork_access_log(); and the library's. 0, -EBADF: not open, or
 * the negative errno of write(2). */
int pf_access_log_v(const char *format, va_list args) PF_PRINTF(1, 0);
int pf_access_log_write(const char *text);

/* Whether the program wrote (or tried) a line since it was last asked to begin. */
void pf_access_log_begin(void);
bool pf_access_log_was_used(void);

#endif
