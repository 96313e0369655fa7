/* What somebody kept while there was no master, and hands in by name (link/stored.h). */
#ifndef PF_MASTER_KEPT_H
#define PF_MASTER_KEPT_H

#include "base/error.h"
#include "link/state.h"
#include "net/listener.h"

/* Sort it. Listeners that are not ours, and those that an orderly stop has left, are put
 * into *listeners; what belongs to nothing is closed. The state of the last master (given,
 * from pf_memory_new()), with its descriptors; NULL: there is none, or it cannot be read,
 * and *error has the sentence. */
struct pf_state *pf_kept_find(struct pf_listeners *listeners, struct pf_error *error);

#endif
