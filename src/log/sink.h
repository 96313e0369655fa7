/* The sink: the descriptor that log lines go to, and how to get another one for it. */
#ifndef PF_LOG_SINK_H
#define PF_LOG_SINK_H

#include "base/time.h"
#include "log/file.h"
#include "log/line.h"
#include "log/remote.h"
#include "log/target.h"

#include <stdint.h>
#include <unistd.h>

struct pf_sink {
    struct pf_log_target target;
    int fd;                 /* -1: no syslog daemon was reached yet */
    enum pf_syslog_way way; /* what fd is, if the target is syslog */
    unsigned long lost;     /* lines since the last one that got through */
    bool torn;              /* the file ends in the middle of a line */
    bool leads_stderr;      /* descriptor 2 goes where the file goes */
    int console;            /* for lines that syslog does not take; -1: none */
    uint32_t mark;          /* names fd: another one has another mark; never 0 */
    char host[64];          /* of this machine, for lines that may leave it */

    /* Of the process that opened it; others are handed descriptors. */
    bool owner;
    struct pf_place place; /* of the file */
    struct pf_remote remote;
    pf_time next_try; /* not to connect again before */
};

/* Standard error. */
#define PF_SINK_STDERR                                                                     \
    {                                                                                      \
        .target = {.kind = PF_LOG_STDERR, .key = "log_file"}, .fd = STDERR_FILENO,         \
        .console = -1, .mark = 8, .owner = true, .place.directory = -1,                    \
        .remote.place.directory = -1                                                       \
    }

/* Not open: nothing is written. */
#define PF_SINK_NOWHERE                                                                    \
    {                                                                                      \
        .target.kind = PF_LOG_NOWHERE, .fd = -1, .console = -1, .owner = true,             \
        .place.directory = -1, .remote.place.directory = -1                                \
    }

enum {
    PF_SINK_E_UNREACHABLE = 1, /* open, but no syslog daemon is there */
};

/* Open what target (copied; its texts are borrowed) says. 0; PF_SINK_E_UNREACHABLE with
 * the sentence, and lines are lost until a daemon is there; or a negative errno with the
 * sentence and PREFORK_EXIT_SYSTEM, and then s is PF_SINK_STDERR. */
PF_MUST_USE int pf_sink_open(struct pf_sink *s, const struct pf_log_target *target,
                             struct pf_error *error);

/* Back to standard error. */
void pf_sink_close(struct pf_sink *s);

/* In the owner: the one before had a sink with this mark, which others may still write to.
 * Theirs and this one are told apart from here on. */
void pf_sink_succeed(struct pf_sink *s, uint32_t mark);

/* In the owner: open the file or connect anew. 0, and the mark has changed; or a negative
 * errno, and everything is as it was. -EINVAL: nothing can be opened anew. */
PF_MUST_USE int pf_sink_renew(struct pf_sink *s);

/* The same for a syslog daemon that was lost, at most once in a second: -EAGAIN before. */
PF_MUST_USE int pf_sink_repair(struct pf_sink *s, pf_time now);

/* In a process that was forked: give up what only the owner needs. What the owner lost it
 * says itself. */
void pf_sink_disown(struct pf_sink *s);

/* Take over the owner's new descriptor (consumed) and its mark. */
void pf_sink_take(struct pf_sink *s, int fd, uint32_t mark);

/* Write a line. 0; PF_REMOTE_E_EARLIER: one before it was lost; -EAGAIN: dropped; -EPIPE:
 * dropped, and it will be the same with all others until the sink is repaired. */
PF_MUST_USE int pf_sink_write(struct pf_sink *s, const struct pf_line *line);

#endif
