/* The outlets of this process: a sink for each, and how a worker keeps up with the
 * master's.
 *
 * The process that opens sinks, the master, owns them. Everybody else was forked from it
 * and is handed descriptors; marks tell which one is the right one now (log/sink.h). */
#ifndef PF_LOG_OUTLET_H
#define PF_LOG_OUTLET_H

#include "base/attr.h"
#include "base/outlet.h"
#include "base/time.h"
#include "log/sink.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The sink itself; static. For log/ only. */
struct pf_sink *pf_outlet_sink(enum pf_outlet outlet);

/* The path of the file behind it, borrowed, with the setting that named it (static) and the
 * descriptor, not the caller's; NULL if it is no file. */
const char *pf_outlet_file(enum pf_outlet outlet, const char **ret_key, int *ret_fd);

/* ---- in the process that opened it ---- */

/* Open the file anew by its name, or connect to the syslog daemon anew. 0, or a negative
 * errno; then the sink is as before. -EINVAL: there is nothing to open. */
PF_MUST_USE int pf_outlet_renew(enum pf_outlet outlet);

/* Connect anew to a syslog daemon that was lost, at most once in a second. 0, or -EAGAIN:
 * too early; or another negative errno. */
PF_MUST_USE int pf_outlet_repair(enum pf_outlet outlet, pf_time now);

/* Workers have, or look for, a sink with this mark, which was opened by a process before
 * this one: none of ours has the same. Nothing for an outlet that is not in use. */
void pf_outlet_succeed(enum pf_outlet outlet, uint32_t mark);

/* The descriptor that lines go to (borrowed), and the mark that names it: another
 * descriptor has another mark. 0: the outlet is not in use. */
int pf_outlet_fd(enum pf_outlet outlet);
uint32_t pf_outlet_mark(enum pf_outlet outlet);

/* ---- in a worker, which is handed its sinks ---- */

struct pf_outlet_link {
    const _Atomic uint32_t *mark; /* of the sink that should be written to */
    void (*fetch)(void *context); /* calls pf_outlet_take() if there is another one */
    /* The sink with this mark is broken: whoever can repair it should know. */
    void (*broken)(uint32_t mark, void *context);
    void *context;
};

/* Before each line compare marks, and fetch a new sink if there is one. What only the
 * process needs that opens sinks is closed. link is copied. */
void pf_outlet_follow(enum pf_outlet outlet, const struct pf_outlet_link *link);

/* That comparison. Nothing in a process that follows nobody. */
void pf_outlet_catch_up(enum pf_outlet outlet);

/* The new sink; fd is consumed. -1: it got lost on the way, the old one stays. */
void pf_outlet_take(enum pf_outlet outlet, int fd, uint32_t mark);

/* The sink takes no more lines. True: somebody else was told, who may repair it. */
bool pf_outlet_tell_broken(enum pf_outlet outlet);

#endif
