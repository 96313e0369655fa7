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

/* Read the file or pipe at path to its end and set everything it says. 0, or a negative
 * errno with the sentence in error: it cannot be read, it is no file (-EISDIR, -EINVAL),
 * it is too large (-EFBIG), or what pf_parse_config() found. *ret_identity (may be NULL) is
 * the file as it was just before it was read; of a pipe, that there is none. */
PF_MUST_USE int pf_load_config(struct pf_settings *settings, const char *path,
                               struct pf_identity *ret_identity, struct pf_error *error);

#endif
