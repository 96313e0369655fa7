/* A config file on disk, read and parsed (config/parse.h has the grammar). */
#ifndef PF_CONFIG_LOAD_H
#define PF_CONFIG_LOAD_H

#include "base/attr.h"
#include "base/error.h"
#include "base/identity.h"

struct pf_settings;

enum {
    PF_LOAD_BYTES_MAX = 1 << 20, /* of a config file */
};

struct pf_loaded {
    struct pf_identity identity; /* the file, just before it was read; of a pipe, that there
                                    is none */
    int copy;                    /* a memfd with what was read, given; -1: no memory */
};

/* Read the file or pipe at path to its end and set everything it says. 0, or a negative
 * errno with the sentence in error: it cannot be read, it is no file (-EISDIR, -EINVAL),
 * it is too large (-EFBIG), or what pf_parse_config() found. ret_loaded may be NULL. */
PF_MUST_USE int pf_load_config(struct pf_settings *settings, const char *path,
                               struct pf_loaded *ret_loaded, struct pf_error *error);

/* The same from such a copy (borrowed), whatever is at the path now. */
PF_MUST_USE int pf_load_copy(struct pf_settings *settings, const char *path, int copy,
                             struct pf_error *error);

#endif
