/* The text of a log line, for people and for syslog. Pure: time and names are arguments. */
#ifndef PF_LOG_LINE_H
#define PF_LOG_LINE_H

#include "base/text.h"
#include <prefork/prefork.h>

#include <sys/types.h>
#include <time.h>

/* What a line says. */
struct pf_line {
    struct timespec time; /* of the wall clock */
    const char *name;     /* of the server, or syslog's ident */
    pid_t pid;            /* of the process; 0: left out */
    enum prefork_log_level level;
    unsigned long lost; /* lines before it that nobody will see */
    const char *text;   /* as the caller formatted it */
};

/* Append text with control characters as \xNN; every other byte is kept, UTF-8 is. */
void pf_line_add_printable(struct pf_text *t, const char *text);

/* Append a line for people, without its newline:
 * "2026-03-01 12:00:00.123 hello[4711] notice: ready". */
void pf_line_add(struct pf_text *t, const struct pf_line *line);

/* Append a line as syslog daemons read it (RFC 3164), without any ending:
 * "<29>Mar  1 12:00:00 hello[4711]: ready". facility is as in syslog(3); host, if it is
 * not NULL, follows the time, as it must on the way to another machine. */
void pf_line_add_syslog(struct pf_text *t, const struct pf_line *line, int facility,
                        const char *host);

/* Append what is left for the console: "hello[4711]: ready". */
void pf_line_add_tagged(struct pf_text *t, const struct pf_line *line);

#endif
