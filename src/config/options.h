/* The command line: words to settings. Every setting is an option of the same name. */
#ifndef PF_CONFIG_OPTIONS_H
#define PF_CONFIG_OPTIONS_H

#include "base/attr.h"
#include "base/error.h"

struct pf_settings;

/* Documented outcomes besides success. */
enum pf_options {
    PF_OPTIONS_HELP = 1, /* --help or -h was met */
    PF_OPTIONS_VERSION,  /* --version was met */
};

/* Read argv[1..]: --key value, --key=value, --flag, --flag WORD (only if WORD is 1 yes on
 * true 0 no off false), --no-flag. Ends at the first word that is not an option, behind
 * "--", or at --help, -h or --version, whatever comes first. *ret_used (may be NULL) is
 * how many elements were read, argv[0] and "--" included.
 *
 * 0, an enum pf_options, or what pf_settings_set() returns, or -EINVAL with
 * PREFORK_EXIT_USAGE (shape); *ret_used is untouched on failure. Options before the bad
 * one were set. */
PF_MUST_USE int pf_options_parse(struct pf_settings *settings, int argc, char *const *argv,
                                 int *ret_used, struct pf_error *error);

#endif
