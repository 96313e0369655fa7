/* Memory that is shared across fork(2). */
#ifndef PF_OS_SHARE_H
#define PF_OS_SHARE_H

#include "base/attr.h"

#include <stddef.h>

/* Size of a page in bytes. */
size_t pf_share_page_bytes(void);

/* Zeroed memory that every process forked later shares; NULL: none left. */
void *pf_share_open(size_t bytes);
void pf_share_close(void *memory, size_t bytes);

/* Address space for count pages in which nothing is mapped yet; NULL: none left. */
void *pf_share_reserve(size_t count);

/* Map a fresh, zeroed, shared page at this page of a reservation, in place of what was
 * there. The next child forked has it. 0 or a negative errno. */
PF_MUST_USE int pf_share_fresh_page(void *page);

/* Children forked from here on do not have this page. */
void pf_share_keep_from_children(void *page);

#endif
