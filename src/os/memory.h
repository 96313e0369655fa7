/* Memory in a mapping of its own, which a forked child can give up.
 *
 * What the master writes after a fork leaves the child with a private copy of the old page
 * for good. The master's tables change with every birth, so each worker would keep its own
 * outdated copy of them: it drops them instead. */
#ifndef PF_OS_MEMORY_H
#define PF_OS_MEMORY_H

#include <stddef.h>

/* Zeroed memory, or NULL: none left. */
void *pf_memory_new(size_t bytes);

/* NULL is fine. */
void pf_memory_free(void *memory, size_t bytes);

#endif
