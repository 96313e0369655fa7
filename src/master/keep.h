/* The master's way to its keeper. */
#ifndef PF_MASTER_KEEP_H
#define PF_MASTER_KEEP_H

#include "base/attr.h"

struct pf_startup;

/* Be where the server is to run: in the background, below a keeper, as configured. Who was
 * born by a keeper is there. The starter does not return, and neither does the keeper. 0 in
 * the master, or a negative errno with the sentence. */
PF_MUST_USE int pf_keep_go_to_place(struct pf_startup *s);

#endif
