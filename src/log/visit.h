/* The line of the access log about one connection. Pure: time and names are arguments. */
#ifndef PF_LOG_VISIT_H
#define PF_LOG_VISIT_H

#include "base/text.h"
#include "base/time.h"

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

enum pf_outcome {
    PF_OUTCOME_SERVED,
    PF_OUTCOME_DENIED, /* by the rules, or by allow_deny_hook */
    PF_OUTCOME_FAILED, /* the handshake did, or the program could not be started */
};

struct pf_visit {
    struct timespec time; /* of its end, by the wall clock */
    pid_t pid;            /* of the worker */
    const char *proto;
    const char *peer;
    const char *local;
    pf_time duration;
    enum pf_outcome outcome;
    bool has_status; /* a program ran for it, and ended with ... */
    int wait_status; /* ... this, as in waitpid(2) */
};

/* Append a text as one word: "-" if it is empty, and otherwise without a blank, with all
 * but the visible characters of ASCII as \xNN. A backslash is shown so too, and so is the
 * text "-", so that what was meant can always be told. */
void pf_visit_add_word(struct pf_text *t, const char *text);

/* Append the line, without its newline, in the grammar of prefork.conf(5):
 * "2026-03-01T12:00:00.123Z 4711 tcp 192.0.2.1:49152 192.0.2.9:8080 0.001234 served -". */
void pf_visit_add(struct pf_text *t, const struct pf_visit *visit);

#endif
