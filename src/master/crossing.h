/* A master with workers becomes another program in its process. */
#ifndef PF_MASTER_CROSSING_H
#define PF_MASTER_CROSSING_H

#include "base/attr.h"

struct pf_master;

/* Execute the next program, on trial, with all that this master has. Returns only if
 * nothing came of it: a negative errno, and this program goes on; -ECANCELED: the hook that
 * was called before asked for the end of the server. */
PF_MUST_USE int pf_crossing_forward(struct pf_master *m);

/* In a program on trial: execute the one before, with what it handed over, the workers of
 * now, and the reason. Returns likewise; but what this program had opened for itself is
 * given back by then, unless it is -ECANCELED. */
PF_MUST_USE int pf_crossing_back(struct pf_master *m, const char *reason);

#endif
