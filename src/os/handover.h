/* Files that are given to another user. */
#ifndef PF_OS_HANDOVER_H
#define PF_OS_HANDOVER_H

#include "base/attr.h"
#include "base/error.h"

#include <sys/types.h>

/* Give the open file fd, opened at path, to uid and gid: only if it is a regular file that
 * has one name, and path is that name. Anything else (a terminal, a pipe, a file behind a
 * symbolic link) is left alone, which is fine.
 *
 * 0, or a negative errno with the sentence in error, which begins with key (the setting),
 * and PREFORK_EXIT_SYSTEM. */
PF_MUST_USE int pf_handover_open_file(const char *key, const char *path, int fd, uid_t uid,
                                      gid_t gid, struct pf_error *error);

/* Give the file or directory at path to uid and gid. A symbolic link, or a file that has
 * further names, is refused: whoever may write to its directory could have made it, for a
 * file that is not his. 0, or as above; PREFORK_EXIT_CONFIG if path is nothing to give. */
PF_MUST_USE int pf_handover_path(const char *key, const char *path, uid_t uid, gid_t gid,
                                 struct pf_error *error);

#endif
