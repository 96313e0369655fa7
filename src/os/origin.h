/* How this process was started, for whoever has to start it again. */
#ifndef PF_OS_ORIGIN_H
#define PF_OS_ORIGIN_H

#include "base/attr.h"

/* The arguments as they were, whatever became of them since: titles are written over them,
 * and programs rearrange them. Static; NULL if the memory for a copy was missing. */
char *const *pf_origin_arguments(void);

#endif
