/* The help text of all settings, made from settings.def. */
#ifndef PF_CONFIG_HELP_H
#define PF_CONFIG_HELP_H

#include <stdio.h>

/* Print every setting as an option with one line of help, unit, bounds of choice and
 * default, in groups, no line longer than 79 columns. */
void pf_settings_help(FILE *to);

#endif
