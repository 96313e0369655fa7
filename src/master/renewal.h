/* A reload of a server without workers (min_servers 0). */
#ifndef PF_MASTER_RENEWAL_H
#define PF_MASTER_RENEWAL_H

#include "base/attr.h"
#include "base/time.h"
#include "master/checking.h"
#include "master/succession.h"
#include "os/alarm.h"

#include <stdbool.h>

/* All borrowed, and as long as the server. */
struct pf_renewal_setup {
    struct pf_belongings has;     /* generation and reload are counted from these */
    const struct pf_image *image; /* the next program; NULL: there is none ... */
    const char *no_image;         /* ... because of this */
    pf_time timeout;              /* of the check; PF_NEVER: no limit */
};

enum pf_renewal_stage {
    PF_RENEWAL_NONE,  /* nowhere */
    PF_RENEWAL_CHECK, /* a child finds out whether the next program can take over */
    PF_RENEWAL_DUE,   /* it can: the work is to end for it */
};

struct pf_renewal {
    struct pf_renewal_setup setup;
    enum pf_renewal_stage stage;
    bool wanted; /* once more, after the one under way */
    struct pf_checking checking;
    struct pf_succession next;
    struct pf_alarm alarm; /* SIGUSR2, by_us: it is time to look */
    pf_time deadline;      /* of the check */
};

/* 0 or a negative errno. Close accepts what was not opened, if it is all zeros. */
PF_MUST_USE int pf_renewal_open(struct pf_renewal *r, const struct pf_renewal_setup *setup);
void pf_renewal_close(struct pf_renewal *r);

/* Somebody asks for it. It begins at the next look. */
void pf_renewal_ask(struct pf_renewal *r);

/* Where the work looks: whatever is due. Looks are worth while after a SIGUSR2 of our own,
 * and never harmful. The stage afterwards. */
enum pf_renewal_stage pf_renewal_look(struct pf_renewal *r);

/* DUE, the work has ended and signals are blocked: become the next program. Returns if that
 * is refused, which was told; then there is no reload under way. */
void pf_renewal_become_next(struct pf_renewal *r);

/* A reload has led here, and the server works: tell how it ended. reason: why the program
 * that was tried could not stay; NULL: it is this one. */
void pf_renewal_tell(struct pf_renewal *r, const char *reason);

#endif
