/* Names of what is stored for the next master (docs/notes/0010): FDNAME= on the way there,
 * LISTEN_FDNAMES on the way back (sd_notify(3), sd_listen_fds(3)). */
#ifndef PF_LINK_STORED_H
#define PF_LINK_STORED_H

#include "link/state.h"

#include <stdbool.h>

enum {
    PF_STORED_NAME_BYTES = 48,
};

/* Of a single descriptor; NULL: it is not stored. */
const char *pf_stored_single(enum pf_state_fd which);

/* Of one thing of many: a listener "l", of a worker its channel "w", wire "v" and
 * departures "d", a config file "conf", a state "state". Gives name. */
const char *pf_stored_numbered(char name[PF_STORED_NAME_BYTES], const char *kind,
                               uint64_t number);

/* Is it such a name? Then *ret_number is its number. */
bool pf_stored_number(const char *name, const char *kind, uint64_t *ret_number);

/* Of the file with this index in a state. Gives name. */
const char *pf_stored_file(char name[PF_STORED_NAME_BYTES],
                           const struct pf_state_file *file, unsigned index);

/* Let the descriptors in a state that was stored be those that find() has under their
 * names; -1: none. */
void pf_stored_bring_back(struct pf_state *s, int (*find)(void *context, const char *name),
                          void *context);

#endif
