/* One event, one line.
 *
 * Lines look like
 *
 *     2026-03-01 12:00:00.123 hello[4711] notice: started 5 workers: fewer than min_servers
 *
 * and are written whole by one write(2). Logging never blocks and never fails: a line that
 * the sink cannot take at once (its reader is stuck, the disk is full) is dropped and
 * counted, and the next line that gets through says how many were lost. What a peer or a
 * program put into a line cannot forge another: control characters are shown as \xNN. */
#ifndef PF_LOG_LOG_H
#define PF_LOG_LOG_H

#include "base/attr.h"
#include <prefork/prefork.h>

#include <stdarg.h>

/* Who speaks, and up to which level. name is borrowed for good. Standard error is the
 * sink until pf_log_open_file(). */
void pf_log_open(const char *name, int level);

/* Append to a file from now on: 0 or a negative errno, then the sink is as before. */
PF_MUST_USE int pf_log_open_file(const char *path);

/* The descriptor that lines go to. */
int pf_log_fd(void);

/* Would a line of this level be written? */
bool pf_log_wants(enum prefork_log_level level);

void pf_log(enum prefork_log_level level, const char *format, ...) PF_PRINTF(2, 3);
void pf_log_v(enum prefork_log_level level, const char *format, va_list args)
    PF_PRINTF(2, 0);

#endif
