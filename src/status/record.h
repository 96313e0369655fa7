/* A scoreboard in a file, read record by record by anybody who may read the file.
 *
 * Nothing in the file is believed: sizes are held against the file's real size, and what is
 * missing when it is read is a failure and no fault. The layout is link/score.h. */
#ifndef PF_STATUS_RECORD_H
#define PF_STATUS_RECORD_H

#include "base/attr.h"
#include "base/error.h"
#include "link/score.h"

#include <stdbool.h>

enum {
    PF_RECORD_COUNT_MAX = 1 << 20, /* more than any server has */
};

struct pf_record_file {
    const char *path; /* borrowed, for sentences */
    int fd;
    struct pf_score_head head; /* a copy, checked; its texts end */
    bool alive;                /* the server that writes it lives */
    unsigned patience;         /* rounds left for records that never settle */
};

enum {
    PF_RECORD_E_UNSETTLED = 1, /* it was always being written: of several moments */
    PF_RECORD_E_UNUSED = 2,    /* never written, or by now nobody's */
};

/* Open the scoreboard at path (borrowed until the close), check what it says of itself, and
 * find out whether its server lives. Never waits, also where path is a FIFO. 0, or a
 * negative errno with the sentence in error: of the system; -EINVAL (not a scoreboard),
 * -ENODATA (it ends too early), -EPROTONOSUPPORT (another version or byte order). Close
 * accepts a file whose open failed. */
PF_MUST_USE int pf_record_open(struct pf_record_file *f, const char *path,
                               struct pf_error *error);
void pf_record_close(struct pf_record_file *f);

/* The line in record slot (less than head.records): 0 or a PF_RECORD_E_, or a negative
 * errno with the sentence in error, as above. *ret_line is untouched if there is none; its
 * texts end. */
PF_MUST_USE int pf_record_line(struct pf_record_file *f, unsigned slot,
                               struct pf_score_line *ret_line, struct pf_error *error);

/* The totals of the first page. 0, PF_RECORD_E_UNSETTLED, or a negative errno as above. */
PF_MUST_USE int pf_record_totals(struct pf_record_file *f,
                                 struct pf_score_totals *ret_totals,
                                 struct pf_error *error);

#endif
