/* Keys that are known from elsewhere and have nothing to switch here: the rows of
 * foreign.def. */
#ifndef PF_CONFIG_FOREIGN_H
#define PF_CONFIG_FOREIGN_H

#include <stdbool.h>

/* One row of foreign.def; the columns are explained there. */
struct pf_foreign {
    const char *key;
    bool is_flag;
    const char *reason;
};

/* The row of a key, "-" and "_" being the same, or NULL; static. */
const struct pf_foreign *pf_foreign_find(const char *key);

#endif
