/* What a scoreboard says, as the public header shows it. */
#ifndef PF_STATUS_SCOREBOARD_H
#define PF_STATUS_SCOREBOARD_H

#include "base/attr.h"
#include "base/error.h"
#include <prefork/prefork.h>

/* Read the file at path. 0 and the result in *ret_scoreboard (given), or a negative errno
 * with the sentence in error (status/record.h has them; -ENOMEM). Any process. */
PF_MUST_USE int pf_scoreboard_read(const char *path,
                                   struct prefork_scoreboard **ret_scoreboard,
                                   struct pf_error *error);

/* NULL and half-built ones are fine. */
void pf_scoreboard_free(struct prefork_scoreboard *b);

#endif
