/* One message, line by line. What is not known is skipped, as every receiver of
 * sd_notify(3) does. */
#include "keeper/word.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static bool
is_line(const char *line, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(line, text, length) == 0;
}

static void
read_line(const char *line, size_t length, struct pf_word *word)
{
    static const char name[] = "FDNAME=";
    size_t skip = sizeof name - 1;

    if (is_line(line, length, "READY=1"))
        word->ready = true;
    else if (is_line(line, length, "STOPPING=1"))
        word->stopping = true;
    else if (is_line(line, length, "FDSTORE=1"))
        word->store = true;
    else if (is_line(line, length, "FDSTOREREMOVE=1"))
        word->remove = true;
    else if (pf_text_begins(line, "ERRNO="))
        word->errnum = (int)strtol(line + strlen("ERRNO="), NULL, 10);
    else if (pf_text_begins(line, name) && length - skip < sizeof word->name)
        memcpy(word->name, line + skip, length - skip); /* the rest is zero */
}

void
pf_word_read(const char *text, struct pf_word *ret_word)
{
    *ret_word = (struct pf_word){0};
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        read_line(text, length, ret_word);
        text += length + (text[length] == '\n');
    }
}
