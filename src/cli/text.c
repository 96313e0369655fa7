/* Labels and names come from processes that may have them from their clients, and may end
 * in the middle of a character where they were cut. A terminal obeys some characters, and
 * JSON knows UTF-8 only, so each text goes through here before it is shown.
 *
 * What one character is, is decided by one function, as RFC 3629 has it: no overlong forms,
 * no surrogates, nothing above U+10FFFF. Columns are characters: combining and double-width
 * ones are not measured. */
#include "cli/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* How many bytes the character at s has, its number in *ret_code; 0: it is none. */
static size_t
decode(const unsigned char *s, unsigned *ret_code)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80             ? 1
                    : (s[0] & 0xe0) == 0xc0 ? 2
                    : (s[0] & 0xf0) == 0xe0 ? 3
                    : (s[0] & 0xf8) == 0xf0 ? 4
                                            : 0;
    unsigned code = length == 1 ? s[0] : s[0] & (0x7fu >> length);

    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) /* also the end of the text */
            return 0;
        code = code << 6 | (s[i] & 0x3fu);
    }
    if (length == 0 || code < least[length] || code > 0x10ffff ||
        (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return length;
}

static bool
is_harmless(unsigned code)
{
    return !(code < ' ' || (code >= 0x7f && code <= 0x9f) || code == 0x061c ||
             (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
             (code >= 0x2066 && code <= 0x2069));
}

void
cli_utf8(const char *text, char *buffer, size_t size)
{
    static const char replacement[] = "\xef\xbf\xbd";
    size_t used = 0;
    unsigned code;

    while (*text) {
        size_t length = decode((const unsigned char *)text, &code);
        size_t bytes = length > 0 ? length : sizeof replacement - 1;
        if (used + bytes >= size)
            break;
        memcpy(buffer + used, length > 0 ? text : replacement, bytes);
        used += bytes;
        text += length > 0 ? length : 1;
    }
    buffer[used] = '\0';
}

/* The next character of *text, as it may be shown: moves *text behind it, and gives the
 * bytes in piece and its columns. */
static size_t
next_piece(const char **text, char piece[static 17])
{
    unsigned code = 0;
    size_t length = decode((const unsigned char *)*text, &code);
    size_t used = 0;

    if (length > 0 && is_harmless(code)) {
        memcpy(piece, *text, length);
        piece[length] = '\0';
        *text += length;
        return 1;
    }
    for (size_t i = 0; i < (length > 0 ? length : 1); i++)
        used += (size_t)sprintf(piece + used, "\\x%02X", (unsigned char)(*text)[i]);
    *text += length > 0 ? length : 1;
    return used;
}

void
cli_printable(const char *text, size_t columns, char *buffer, size_t size)
{
    char piece[17];
    size_t shown = 0; /* columns */
    size_t used = 0;
    size_t fit = 0; /* bytes that leave three columns */

    while (*text) {
        size_t wide = next_piece(&text, piece);
        size_t bytes = strlen(piece);
        if (shown + wide > columns || used + bytes + sizeof "..." > size) {
            memcpy(buffer + fit, "...", sizeof "...");
            return;
        }
        memcpy(buffer + used, piece, bytes);
        used += bytes;
        shown += wide;
        if (shown + 3 <= columns)
            fit = used;
    }
    buffer[used] = '\0';
}
