/* What ps(1) and top(1) show. */
#ifndef PF_OS_TITLE_H
#define PF_OS_TITLE_H

#include "base/attr.h"

#include <stdbool.h>

/* Show "name: text" and let the short name (comm) be name. */
void pf_title_set(const char *name, const char *text);

/* Show "name: role idle", such that pf_title_state() can change the last word. */
void pf_title_set_worker(const char *name, const char *role);

/* "idle" or "busy", by a copy of four bytes: this happens twice per connection. Without
 * effect unless pf_title_set_worker() was the last to set the title. */
void pf_title_state(bool busy);

#endif
