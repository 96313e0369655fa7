/* What stands where the scoreboard's file is to be. */
#ifndef PF_LINK_SCORE_FOUND_H
#define PF_LINK_SCORE_FOUND_H

#include "base/attr.h"
#include "base/error.h"
#include "link/score.h"

#include <stdbool.h>

struct pf_score_found {
    int fd;                    /* what a server left there, locked; -1: nothing is there */
    struct pf_score_head head; /* of it; its name ends and is printable */
};

/* Look, and take what a server that is gone left behind. Nothing is changed. 0, or a
 * negative errno with the sentence: something else is there, or a running server's. The
 * caller closes found->fd when something stands in its place. */
PF_MUST_USE int pf_score_found_take(const char *path, struct pf_score_found *ret_found,
                                    struct pf_error *error);

/* Is this file (-1: none) the one at path? */
PF_MUST_USE bool pf_score_found_is_at(int fd, const char *path);

/* Does a server that runs hold this file? */
PF_MUST_USE bool pf_score_found_is_held(int fd);

/* -errnum, with a sentence about the file at path in error. */
int pf_score_found_refuse(const char *path, int errnum, struct pf_error *error);

#endif
