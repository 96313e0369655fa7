/* The grammar of config files: text to settings. Pure; config/load.h reads the disk.
 *
 *     # a comment; \# in a value is a plain #
 *     max_servers 20
 *     port = localhost:8080      (or "port: ...")
 *     --log-level 3              (dashes as on the command line)
 *     background                 (a flag alone is on)
 *     no-background              (and off)
 *     log_file "/var/log/a b"    (one pair of quotes is taken off) */
#ifndef PF_CONFIG_PARSE_H
#define PF_CONFIG_PARSE_H

#include "base/attr.h"
#include "base/error.h"

#include <stddef.h>

struct pf_settings;

enum {
    PF_PARSE_LINE_BYTES = 4096, /* of one line, without its newline */
};

/* Set everything that length bytes of text say; they need not be terminated and may be
 * anything. name is the file's, for origins and sentences; copied.
 *
 * 0, or what pf_settings_set() returns, or -EINVAL (shape of a line); the sentence names
 * file and line. Lines before the bad one were set. */
PF_MUST_USE int pf_parse_config(struct pf_settings *settings, const char *name,
                                const char *text, size_t length, struct pf_error *error);

#endif
