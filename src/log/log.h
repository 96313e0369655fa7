/* One event, one line.
 *
 * Lines look like
 *
 *     2026-03-01 12:00:00.123 hello[4711] notice: started 5 workers: fewer than min_servers
 *
 * and are written whole by one write(2). Logging never blocks and never fails: a line that
 * the sink cannot take at once (its reader is stuck, the disk is full, the syslog daemon is
 * gone) is dropped and counted, and the next line that gets through says how many were
 * lost. What a peer or a program put into a line cannot forge another: control characters
 * are shown as \xNN. */
#ifndef PF_LOG_LOG_H
#define PF_LOG_LOG_H

#include "base/attr.h"
#include "base/error.h"
#include "log/target.h"
#include <prefork/prefork.h>

#include <stdarg.h>

/* Who speaks (copied), and up to which level. hook, if it is not NULL, gets every line
 * that passes the level instead of the sink; data (borrowed) is its last argument. */
void pf_log_open(const char *name, int level,
                 void (*hook)(enum prefork_log_level level, const char *text, void *data),
                 void *data);

/* Forget the hook; standard error is the sink again. */
void pf_log_close(void);

/* Would a line of this level be written? */
bool pf_log_wants(enum prefork_log_level level);

void pf_log(enum prefork_log_level level, const char *format, ...) PF_PRINTF(2, 3);
void pf_log_v(enum prefork_log_level level, const char *format, va_list args)
    PF_PRINTF(2, 0);

/* ---- the sink: standard error until it is opened ---- */

/* From now on lines go where target (copied; its texts are borrowed) says. A syslog daemon
 * that may be missing and is, is a warning on the sink before. 0, or a negative errno with
 * the sentence and PREFORK_EXIT_SYSTEM; then the sink is as before. */
PF_MUST_USE int pf_log_open_sink(const struct pf_log_target *target,
                                 struct pf_error *error);

/* Standard error is the sink again; the hook stays. */
void pf_log_close_sink(void);

/* Nobody but a reader of standard error would see a line. */
bool pf_log_is_stderr(void);

/* Descriptor 2 goes where the log file goes, from now on, also after it was opened anew.
 * 0 or a negative errno. */
PF_MUST_USE int pf_log_lead_stderr(void);

#endif
