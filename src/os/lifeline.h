/* A way back out of a crash: while it is open, what would end this process executes another
 * program in it.
 *
 * That is: a signal of a fault (SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS), exit(3),
 * or a deadline. Not: SIGKILL, _exit(2), whatever the process does with these signals
 * itself, and any of it in a child. */
#ifndef PF_OS_LIFELINE_H
#define PF_OS_LIFELINE_H

#include "base/attr.h"
#include "base/time.h"
#include "os/image.h"

enum {
    PF_LIFELINE_EXIT = 0, /* the cause, if it is no signal: exit(3) */
    PF_LIFELINE_LATE = 1, /* and: the deadline */
};

struct pf_lifeline {
    const struct pf_image *image; /* arguments, directory, umask; borrowed until the end */
    int exe;                      /* what is executed (O_PATH) */
    const char *name;             /* of the variable that goes along: "FD:CAUSE" */
    int fd;                       /* owned by the lifeline while it is open */
    const int *others;            /* that lose close-on-exec as well */
    unsigned count;
};

/* One at a time. *l and its array are copied; the environment is what it is now. 0 or
 * -ENOMEM: it stays closed, and l->fd the caller's. */
PF_MUST_USE int pf_lifeline_open(const struct pf_lifeline *l);

/* Not after this moment. Without effect while it is closed. */
void pf_lifeline_limit(pf_time deadline);

/* All as it was before. Nothing happens if it is closed. */
void pf_lifeline_close(void);

#endif
