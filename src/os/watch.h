/* Files that are watched by their paths: what is there now, and a descriptor that tells
 * when to look again.
 *
 * Paths are absolute and mean what they meant to the process when the watch was opened,
 * also after chroot(2). */
#ifndef PF_OS_WATCH_H
#define PF_OS_WATCH_H

#include "base/attr.h"
#include "base/identity.h"

#include <stdbool.h>

struct pf_watch {
    int root; /* the root directory of that time; -1: closed */
    int fd;   /* readable when a look is due; -1: nobody tells, look now and then */
};

/* The identity of the file at path, or behind an open descriptor. What is no regular file
 * counts as not there. */
void pf_watch_identify(const char *path, struct pf_identity *ret_identity);
void pf_watch_identify_fd(int fd, struct pf_identity *ret_identity);

/* Remember what paths mean now. 0 or a negative errno; then it is closed. */
PF_MUST_USE int pf_watch_open(struct pf_watch *w);
void pf_watch_close(struct pf_watch *w);

/* Look at a path: 0, or a negative errno, and the identity of what is not there. */
int pf_watch_look(const struct pf_watch *w, const char *path,
                  struct pf_identity *ret_identity);

/* Begin anew to be told of changes: w->fd is another descriptor after it, without watches.
 * 0 or a negative errno; then w->fd is -1. -EXDEV: the root directory is another now. */
PF_MUST_USE int pf_watch_listen(struct pf_watch *w);

/* Be told of changes of this path too: of the file, of the directory it is in, and of
 * symbolic links on the way. A file that is missing is told when it comes. 0 or a negative
 * errno. */
PF_MUST_USE int pf_watch_add(struct pf_watch *w, const char *path);

/* Nobody tells any more. */
void pf_watch_deafen(struct pf_watch *w);

/* Forget what was told. True: something is not watched any more, a directory was moved or
 * a file is gone: listen anew. */
bool pf_watch_hush(struct pf_watch *w);

#endif
