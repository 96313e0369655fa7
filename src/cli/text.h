/* Texts of strangers, made fit for people and for JSON. */
#ifndef PF_CLI_TEXT_H
#define PF_CLI_TEXT_H

#include <stddef.h>

enum {
    CLI_TEXT_BYTES = 512, /* four for each byte of the longest text, and an end */
};

/* text as valid UTF-8: each byte that is no part of a character becomes U+FFFD. Cut, whole
 * characters only, where buffer (size bytes) is too small. */
void cli_utf8(const char *text, char *buffer, size_t size);

/* text as people may see it on a terminal: control characters, those that turn the
 * direction of writing, and bytes that are no part of a character become \xNN. At most so
 * many columns (one for a character; at least 4); where more would be needed it ends with
 * "...". Cut where buffer (size bytes) is too small. */
void cli_printable(const char *text, size_t columns, char *buffer, size_t size);

#endif
