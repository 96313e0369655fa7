/* Another root directory. */
#ifndef PF_OS_ROOT_H
#define PF_OS_ROOT_H

#include "base/attr.h"
#include "base/error.h"

/* Is there a directory at path? 0, or a negative errno with the sentence in error. */
PF_MUST_USE int pf_root_check(const char *path, struct pf_error *error);

/* Make the directory at path the root directory and the working directory of this process,
 * for good. What libc and this library need from outside is fetched before: the time zone,
 * the modules of the name service, the null device.
 *
 * 0, or a negative errno with the sentence in error: PREFORK_EXIT_CONFIG if path is no
 * directory, PREFORK_EXIT_SYSTEM otherwise. The process then must not go on. */
PF_MUST_USE int pf_root_enter(const char *path, struct pf_error *error);

#endif
