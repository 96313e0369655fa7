/* The help text.
 *
 * Two columns: the option with the kind of its value, and a paragraph that is wrapped
 * to what is left of the line. Longer options have the paragraph start on the next
 * line. */
#include "config/help.h"

#include "base/text.h"
#include "config/setting.h"

#include <string.h>

enum {
    WIDTH = 79,
    INDENT = 28,
    PARAGRAPH_BYTES = 512,
};

/* Print a paragraph wrapped into the right column; column is where the line stands. */
static void
print_wrapped(FILE *to, const char *text, int column)
{
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (column > INDENT && column + 1 + length > WIDTH) {
            (void)fprintf(to, "\n");
            column = 0;
        }
        if (column > INDENT)
            column += fprintf(to, " ");
        else
            column += fprintf(to, "%*s", INDENT - column, "");
        column += fprintf(to, "%.*s", length, text);
        text += length;
        text += strspn(text, " ");
    }
    (void)fprintf(to, "\n");
}

/* What stands for the value behind the option. */
static const char *
value_word(const struct pf_setting *row)
{
    switch (row->type) {
    case PF_TYPE_COUNT: return " N";
    case PF_TYPE_SECONDS: return " SECONDS";
    case PF_TYPE_PERCENT: return " PERCENT";
    case PF_TYPE_TEXT: return " TEXT";
    case PF_TYPE_PATH: return " FILE";
    case PF_TYPE_CHOICE: return " WORD";
    case PF_TYPE_MODE: return " MODE";
    case PF_TYPE_FLAG: break;
    }
    return "";
}

static void
add_option(struct pf_text *t, const struct pf_setting *row)
{
    pf_text_add(t, "  --%s", row->type == PF_TYPE_FLAG ? "[no-]" : "");
    for (const char *c = row->key; *c != '\0'; c++)
        pf_text_add(t, "%c", *c == '_' ? '-' : *c);
    pf_text_add(t, "%s", value_word(row));
}

static void
add_paragraph(struct pf_text *t, const struct pf_setting *row)
{
    bool flag = row->type == PF_TYPE_FLAG;
    bool on = strcmp(row->initial, "1") == 0;

    pf_text_add(t, "%s", row->help);
    if (row->words[0] != '\0')
        pf_text_add(t, ": %s", row->words);
    if (row->number == PF_NUMBER_LIST)
        pf_text_add(t, "; may be repeated");
    if (flag)
        pf_text_add(t, " (default: %s)", on ? "yes" : "no");
    else if (row->initial[0] != '\0')
        pf_text_add(t, " (default: %s%s%s)", row->initial, row->unit[0] != '\0' ? " " : "",
                    row->unit);
}

static void
print_row(FILE *to, const struct pf_setting *row)
{
    char option_bytes[PARAGRAPH_BYTES];
    char paragraph_bytes[PARAGRAPH_BYTES];
    struct pf_text option;
    struct pf_text paragraph;
    int column;

    pf_text_init(&option, option_bytes, sizeof option_bytes);
    add_option(&option, row);
    pf_text_init(&paragraph, paragraph_bytes, sizeof paragraph_bytes);
    add_paragraph(&paragraph, row);
    column = fprintf(to, "%s", option_bytes);
    if (column + 2 > INDENT) {
        (void)fprintf(to, "\n");
        column = 0;
    }
    print_wrapped(to, paragraph_bytes, column);
}

void
pf_settings_help(FILE *to)
{
    const char *group = "";

    for (unsigned i = 0; i < PF_SETTING_COUNT_OF; i++) {
        const struct pf_setting *row = pf_setting_row((enum pf_setting_id)i);
        if (strcmp(group, row->group) != 0)
            (void)fprintf(to, "%s%s:\n", i > 0 ? "\n" : "", row->group);
        group = row->group;
        print_row(to, row);
    }
}
