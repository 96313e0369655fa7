/* Where log lines go, as the settings say: words to values, without opening anything. */
#ifndef PF_LOG_TARGET_H
#define PF_LOG_TARGET_H

#include "base/attr.h"
#include "base/error.h"

#include <stdbool.h>

enum pf_log_kind {
    PF_LOG_STDERR,
    PF_LOG_FILE,
    PF_LOG_SYSLOG,
    PF_LOG_NOWHERE, /* there is no such log */
};

/* The ways to a syslog daemon. `inet` of the settings is two of them. */
enum pf_syslog_way {
    PF_SYSLOG_UNIX,    /* datagrams to a path, or a stream if that is what is there */
    PF_SYSLOG_STREAM,  /* a stream to a path */
    PF_SYSLOG_UDP,     /* datagrams to host and port */
    PF_SYSLOG_TCP,     /* a stream to host and port */
    PF_SYSLOG_CONSOLE, /* no daemon: the console */
};

enum {
    PF_SYSLOG_WAYS_MAX = 8,
};

struct pf_syslog {
    enum pf_syslog_way ways[PF_SYSLOG_WAYS_MAX]; /* tried in this order */
    unsigned way_count;
    const char *path;  /* of the daemon's socket; borrowed */
    const char *host;  /* of the daemon, name or address; borrowed */
    unsigned port;     /* of the daemon */
    const char *ident; /* NULL: the server's name; borrowed */
    int facility;      /* as in syslog(3), such as LOG_DAEMON */
    bool pid;          /* the process id is part of a line */
    bool cons;         /* a line that cannot be sent goes to the console */
    bool nofatal;      /* a daemon that is not there is no reason not to start */
};

struct pf_log_target {
    enum pf_log_kind kind;
    bool named;       /* standard error was asked for by its name */
    const char *key;  /* the setting that said so; static */
    const char *path; /* of a file; borrowed */
    struct pf_syslog syslog;
};

/* All of these: 0, or -EINVAL with the sentence, without the setting's name, in error;
 * results are untouched then. Upper and lower case are the same, except in log_file. */

/* log_file: a path, or the word for standard error or for syslog; NULL: standard error. */
PF_MUST_USE int pf_log_target_parse(const char *text, struct pf_log_target *ret_target,
                                    struct pf_error *error);

/* syslog_logsock: one or several ways, separated by commas, blanks or "|". */
PF_MUST_USE int pf_syslog_parse_ways(const char *text, struct pf_syslog *ret_syslog,
                                     struct pf_error *error);

/* syslog_logopt: options, separated likewise. What is not named is off. */
PF_MUST_USE int pf_syslog_parse_options(const char *text, struct pf_syslog *ret_syslog,
                                        struct pf_error *error);

/* syslog_facility: one facility, "daemon" or "LOG_DAEMON". */
PF_MUST_USE int pf_syslog_parse_facility(const char *text, struct pf_syslog *ret_syslog,
                                         struct pf_error *error);

/* syslog_ident: up to 48 printable ASCII characters without blank, ":" and "[", which
 * end it in a line. NULL is fine. */
PF_MUST_USE int pf_syslog_parse_ident(const char *text, struct pf_syslog *ret_syslog,
                                      struct pf_error *error);

#endif
