/* Memory in a mapping of its own, which a forked child can give up, or never has.
 *
 * What the master writes after a fork leaves the child with a private copy of the old page
 * for good. The master's tables change with every birth, so each worker would keep its own
 * outdated copy of them, and each birth would cost the master one more copy. */
#ifndef PF_OS_MEMORY_H
#define PF_OS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed memory, or NULL: none left. */
void *pf_memory_new(size_t bytes);

/* The same, that children of a fork(2) do not have (madvise(2), MADV_DONTFORK); and whether
 * the next ones have it after all. */
void *pf_memory_new_own(size_t bytes);
void pf_memory_inherit(void *memory, size_t bytes, bool on);

/* NULL is fine. Not in a child that does not have it. */
void pf_memory_free(void *memory, size_t bytes);

#endif
