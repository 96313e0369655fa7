/* Which of the server's own files has changed, and when to look again. */
#ifndef PF_CORE_RELOAD_H
#define PF_CORE_RELOAD_H

#include "base/identity.h"
#include "base/time.h"

#include <stdbool.h>

enum {
    PF_RELOAD_FILES_MAX = 16,
};

struct pf_reload_file {
    const char *path;           /* absolute; borrowed */
    struct pf_identity handled; /* as it was loaded, or when its last change was handled */
    struct pf_identity seen;    /* at the last look; at first: as handled */
    bool told_missing;
};

struct pf_reload {
    pf_time every;  /* between two looks; PF_NEVER: none at all */
    unsigned count; /* of files to look at */
    struct pf_reload_file files[PF_RELOAD_FILES_MAX];
    bool told;       /* somebody tells of changes: no look without a reason */
    bool heard;      /* the next look is because of that */
    pf_time look_at; /* PF_NEVER: when something is heard */
};

/* What a look at one file comes to. */
enum pf_reload_news {
    PF_RELOAD_SAME,      /* nothing to do */
    PF_RELOAD_UNSETTLED, /* not what it was a look ago: look again */
    PF_RELOAD_MISSING,   /* for two looks; this is the first time to say so */
    PF_RELOAD_CHANGED,   /* and quiet since the last look: to be handled; counts as that */
};

/* The server begins: the first look is due after `every` in any case, because files may
 * have changed since they were loaded. told: see above. */
void pf_reload_start(struct pf_reload *r, bool told, pf_time now);

bool pf_reload_due(const struct pf_reload *r, pf_time now);

/* It was told that something changes: a look is due at once. */
void pf_reload_heard(struct pf_reload *r, pf_time now);

/* A look found this at the place of a file. */
enum pf_reload_news pf_reload_saw(struct pf_reload_file *f, const struct pf_identity *now);

/* All files were looked at; again: not for the last time. True: quiet, and from now on to
 * be told. */
bool pf_reload_looked(struct pf_reload *r, bool again, pf_time now);

#endif
