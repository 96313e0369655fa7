/* A file, FIFO or device that lines are appended to. */
#ifndef PF_LOG_FILE_H
#define PF_LOG_FILE_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>

/* Where a file is found again: its directory, and its name there. */
struct pf_place {
    int directory;    /* O_PATH; -1: none */
    const char *path; /* as it was written; borrowed */
    const char *name; /* the last part of path */
};

/* Hold on to the directory of path (borrowed). 0 or a negative errno. A place that was
 * closed may be closed again. */
int pf_place_open(struct pf_place *p, const char *path);
void pf_place_close(struct pf_place *p);

/* Open the file at its place for appending, never waiting; made with mode 0640 if it is
 * not there. The descriptor (the caller's, close-on-exec, O_NONBLOCK) or a negative
 * errno. */
PF_MUST_USE int pf_file_open(const struct pf_place *p);

/* Write a line. buffer begins with a newline, which is only written after a line of which
 * just a part got through: *torn says so and is brought up to date. 0: all of it was
 * written; or a negative errno, which is -ENOSPC if a part was. */
PF_MUST_USE int pf_file_write(int fd, const char *buffer, size_t bytes, bool *torn);

#endif
