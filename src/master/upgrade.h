/* A reload: from the request, over the next program in this process, to its end. */
#ifndef PF_MASTER_UPGRADE_H
#define PF_MASTER_UPGRADE_H

#include "base/attr.h"
#include "base/time.h"
#include "master/checking.h"
#include "master/succession.h"

#include <stdbool.h>
#include <stdint.h>

struct pf_master;

/* Where a reload is. */
enum pf_upgrade_stage {
    PF_UPGRADE_NONE,      /* nowhere */
    PF_UPGRADE_CHECK,     /* a child finds out whether the next program can take over */
    PF_UPGRADE_TRIAL,     /* that runs here; its first workers start beside the old ones */
    PF_UPGRADE_EMPTYING,  /* they are ready; sockets that are given up are emptied */
    PF_UPGRADE_REPLACING, /* there is no next program: workers are replaced */
};

/* What is asked for. The greater one includes the other. */
enum pf_upgrade_wish {
    PF_UPGRADE_NOTHING,
    PF_UPGRADE_RESTART, /* of all workers */
    PF_UPGRADE_RELOAD,
};

enum {
    PF_UPGRADE_WHO_BYTES = 64,
};

struct pf_upgrade {
    enum pf_upgrade_stage stage;
    uint64_t generation;            /* of programs, from 1 */
    uint64_t number;                /* of the restart or reload that began last */
    enum pf_upgrade_wish wish;      /* which of the two that is */
    enum pf_upgrade_wish wanted;    /* the next one */
    char who[PF_UPGRADE_WHO_BYTES]; /* asked for it first */
    pf_time deadline;               /* of the stage */
    uint64_t mark;                  /* REPLACING: births up to this number are replaced */

    struct pf_checking checking; /* CHECK */
    struct pf_succession next;   /* where a state is put together */
};

/* Memory for all that is written later. 0 or -ENOMEM. Close accepts what was not opened. */
PF_MUST_USE int pf_upgrade_open(struct pf_master *m);
void pf_upgrade_close(struct pf_master *m);

/* Go on with what was taken over, if anything was: a trial begins, or the end of one is
 * told. */
void pf_upgrade_begin(struct pf_master *m);

/* Who (copied; named in the log) asks for a reload, or for the replacement of all workers.
 * 0 and its number, for pf_control_tell() (ret_number may be NULL). It begins in this turn,
 * or when the one under way has ended, together with what else is asked for until then.
 * -ESHUTDOWN: the server is stopping. */
int pf_master_ask_reload(struct pf_master *m, const char *who, uint64_t *ret_number);
int pf_master_ask_restart(struct pf_master *m, const char *who, uint64_t *ret_number);

/* In each turn: whatever is due. Does not return if the process becomes another program. */
void pf_master_tend_upgrade(struct pf_master *m);

/* The child that checks has ended. */
void pf_master_checked(struct pf_master *m);

#endif
