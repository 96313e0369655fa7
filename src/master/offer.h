/* What lies in the store, kind by kind.
 *
 * All of these return false if something was not taken. Then the loop wakes in time to try
 * again, or there is nobody any more to take it (pf_master_lose_store()). */
#ifndef PF_MASTER_OFFER_H
#define PF_MASTER_OFFER_H

#include "base/attr.h"
#include "base/time.h"
#include "link/state.h"
#include "master/store.h"

#include <stdbool.h>

struct pf_master;

/* After which what was not taken is offered once more. */
#define PF_OFFER_AGAIN (100 * PF_MILLISECOND)

/* One thing (fd is borrowed); what has this name. */
bool pf_offer_put(struct pf_master *m, const char *name, int fd);
bool pf_offer_take_back(struct pf_master *m, const char *name);

/* One message. */
bool pf_offer_say(struct pf_master *m, const char *text);

/* At the start. from: what was handed over, and what a master before this one has stored,
 * or was about to; NULL: nobody knows what lies there. */
void pf_offer_begin(struct pf_store *s, const struct pf_state *from);

/* Let the store have what the state names of a kind, and nothing else of it, but for
 * workers, of which those that are gone are removed by themselves. */
PF_MUST_USE bool pf_offer_singles(struct pf_master *m, const struct pf_state *state);
PF_MUST_USE bool pf_offer_listeners(struct pf_master *m, const struct pf_state *state);
PF_MUST_USE bool pf_offer_files(struct pf_master *m, const struct pf_state *state);
PF_MUST_USE bool pf_offer_workers(struct pf_master *m, const struct pf_state *state);

/* Is a listener with this number in it? */
bool pf_offer_names_listener(const struct pf_state *state, unsigned id);

/* Take back what is there of workers that are not; all: also of those that are. */
PF_MUST_USE bool pf_offer_remove_workers(struct pf_master *m, bool all);

#endif
