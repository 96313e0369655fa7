/* The check of a reload: a child finds out whether the next program can take over. */
#ifndef PF_MASTER_CHECKING_H
#define PF_MASTER_CHECKING_H

#include "base/attr.h"
#include "base/time.h"
#include "master/succession.h"
#include "os/process.h"

#include <stdbool.h>

enum {
    PF_CHECKING_TEXT_BYTES = PF_STATE_TEXT_BYTES,
};

struct pf_checking {
    struct pf_process child; /* pid 0: there is none */
    int verdict;             /* where it says what it found; -1: none */
    bool too_late;           /* it was ended for its deadline */
    bool said;               /* it has said what it found, */
    bool can;                /* which is this */
    char text[PF_CHECKING_TEXT_BYTES];
};

#define PF_CHECKING_NONE ((struct pf_checking){.verdict = -1, .child.pidfd = -1})

/* Start it, with the state in next (of which it gets no workers and not the word of the
 * service manager; that is gone from it afterwards). 0 or a negative errno. */
PF_MUST_USE int pf_checking_start(struct pf_checking *c, const struct pf_succession *next,
                                  const struct pf_image *image);

/* Its time is over: it is ended, and pf_checking_fault() will say so. */
void pf_checking_expire(struct pf_checking *c);

/* Hear what it has to say. True: it has said it, or will never. */
bool pf_checking_hear(struct pf_checking *c);

/* It has ended with this status: true and what is wrong with the next program; false: it
 * can take over. timeout is the time it had. The child is forgotten. */
bool pf_checking_fault(struct pf_checking *c, int wait_status, pf_time timeout,
                       char text[PF_CHECKING_TEXT_BYTES]);

/* Nobody wants to know any more: end it, if there is one, and reap it. */
void pf_checking_end(struct pf_checking *c);

/* In a process that a CHECK state was handed to: this is what it found (NULL: it could take
 * over). */
void pf_checking_answer(const struct pf_state *s, const char *fault);

#endif
