/* Patterns for addresses and names.
 *
 * The whole text has to match, and the whole pattern is meant: "a|b" is "a" or "b" and
 * nothing that merely begins or ends so. Letters match in either case, because a name is
 * the same name in either: whoever may choose the spelling of his name must not escape a
 * rule by it.
 *
 * Patterns are compiled before the first fork, so workers share them, and to machine code
 * where the system lets a process make some; where it does not, they are interpreted. The
 * effort of one match is limited, because some harmless looking patterns take exponential
 * time on a text that somebody chose for it. At the limit the answer is "undecided", and so
 * it is for any other reason why matching may fail.
 *
 * PCRE2 is loaded with the first pattern: most servers have none, and would pay for it in
 * every fork. It wants a block of memory to write its result to. There is one for the
 * process, made with the first pattern and never released: a worker's copy is its own. */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "net/pattern.h"

#include "base/text.h"
#include "os/part.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum {
    MATCH_LIMIT = 20000,  /* steps of one match: tenths of a millisecond */
    HEAP_LIMIT_KIB = 256, /* memory of one match, interpreted */
    QUOTED_CHARACTERS = 80,
    MESSAGE_BYTES = 160,
};

#define LIBRARY "libpcre2-8.so.0"

static struct {
    __typeof__(&pcre2_compile) compile;
    __typeof__(&pcre2_jit_compile) jit_compile;
    __typeof__(&pcre2_match) match;
    __typeof__(&pcre2_jit_match) jit_match;
    __typeof__(&pcre2_code_free) code_free;
    __typeof__(&pcre2_get_error_message) get_error_message;
    __typeof__(&pcre2_match_data_create) match_data_create;
    __typeof__(&pcre2_match_context_create) match_context_create;
    __typeof__(&pcre2_set_match_limit) set_match_limit;
    __typeof__(&pcre2_set_heap_limit) set_heap_limit;
} pcre2;

static const struct pf_part_symbol symbols[] = {
    {"pcre2_compile_8", &pcre2.compile},
    {"pcre2_jit_compile_8", &pcre2.jit_compile},
    {"pcre2_match_8", &pcre2.match},
    {"pcre2_jit_match_8", &pcre2.jit_match},
    {"pcre2_code_free_8", &pcre2.code_free},
    {"pcre2_get_error_message_8", &pcre2.get_error_message},
    {"pcre2_match_data_create_8", &pcre2.match_data_create},
    {"pcre2_match_context_create_8", &pcre2.match_context_create},
    {"pcre2_set_match_limit_8", &pcre2.set_match_limit},
    {"pcre2_set_heap_limit_8", &pcre2.set_heap_limit},
};

static pcre2_match_data *match_data;
static pcre2_match_context *match_context;

/* ---- making ---------------------------------------------------------------------- */

static int
load(struct pf_error *error)
{
    struct pf_error why = {0};
    int r;

    if (pcre2.compile)
        return 0;
    r = pf_part_load(LIBRARY, symbols, sizeof symbols / sizeof symbols[0], &why);
    if (r == 0)
        return 0;
    return pf_error_set(error, PREFORK_EXIT_SYSTEM, -r,
                        "patterns need the library PCRE2 (%s); addresses and blocks in "
                        "cidr_allow and cidr_deny do without it",
                        why.text);
}

static int
prepare_matching(struct pf_error *error)
{
    int r = load(error);

    if (r < 0)
        return r;
    if (!match_data)
        match_data = pcre2.match_data_create(1, NULL);
    if (!match_context)
        match_context = pcre2.match_context_create(NULL);
    if (!match_data || !match_context)
        return -ENOMEM;
    (void)pcre2.set_match_limit(match_context, MATCH_LIMIT); /* these return 0 always */
    (void)pcre2.set_heap_limit(match_context, HEAP_LIMIT_KIB);
    return 0;
}

static int
refuse(const char *text, int code, size_t at, struct pf_error *error)
{
    char message[MESSAGE_BYTES];

    (void)pcre2.get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
    return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL,
                        "\"%.*s\" is not a regular expression: %s, behind character %zu; "
                        "expected is one of Perl's kind (pcre2pattern(3)), such as "
                        "127\\.0\\.0\\.1 or .*\\.example\\.com",
                        QUOTED_CHARACTERS, text, message, at);
}

static void
deinit_pattern(struct pf_pattern *p)
{
    if (p->code)
        pcre2.code_free(p->code);
    free(p->text);
}

static int
init_pattern(struct pf_pattern *p, const char *text, struct pf_error *error)
{
    PCRE2_SIZE at;
    int code;

    p->text = pf_text_copy(text);
    p->code = pcre2.compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                            PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_CASELESS, &code, &at,
                            NULL);
    if (!p->code || !p->text) {
        int r = p->code ? -ENOMEM : refuse(text, code, at, error);
        deinit_pattern(p);
        return r;
    }
    p->is_machine_code = pcre2.jit_compile(p->code, PCRE2_JIT_COMPLETE) == 0;
    return 0;
}

int
pf_patterns_add(struct pf_patterns *set, const char *text, struct pf_error *error)
{
    struct pf_pattern *grown = realloc(set->table, (set->count + 1) * sizeof *grown);
    int r;

    if (!grown)
        return -ENOMEM;
    set->table = grown;
    r = prepare_matching(error);
    if (r == 0)
        r = init_pattern(&grown[set->count], text, error);
    if (r == 0)
        set->count++;
    return r;
}

void
pf_patterns_deinit(struct pf_patterns *set)
{
    for (size_t i = 0; i < set->count; i++)
        deinit_pattern(&set->table[i]);
    free(set->table);
    *set = (struct pf_patterns){0};
}

/* ---- matching -------------------------------------------------------------------- */

/* The short cut for machine code leaves out checks of the arguments, which would take as
 * long as the match itself. */
static int
match_one(const struct pf_pattern *p, const char *text, size_t length)
{
    PCRE2_SPTR subject = (PCRE2_SPTR)text;

    if (p->is_machine_code)
        return pcre2.jit_match(p->code, subject, length, 0, 0, match_data, match_context);
    return pcre2.match(p->code, subject, length, 0, 0, match_data, match_context);
}

enum pf_match
pf_patterns_match(const struct pf_patterns *set, const char *text, const char **ret_pattern)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < set->count; i++) {
        int r = match_one(&set->table[i], text, length);
        if (r == PCRE2_ERROR_NOMATCH)
            continue;
        *ret_pattern = set->table[i].text;
        return r >= 0 ? PF_MATCH_YES : PF_MATCH_UNDECIDED; /* 0: more groups than kept */
    }
    return PF_MATCH_NO;
}

/* ---- looking at the letters ------------------------------------------------------ */

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* In no address, not even one in hexadecimal digits. */
static bool
is_name_letter(char c)
{
    return is_letter(c) && (c | 0x20) > 'f';
}

/* Only plain letters, dots, classes of characters by one letter and repetitions are looked
 * at. Anything that could put a letter aside, such as | ( [ or a longer escape, ends the
 * look; so does a letter that may be absent. */
bool
pf_pattern_needs_name(const char *text)
{
    bool needs = false;

    for (const char *s = text; *s != '\0'; s++) {
        if (strchr("|([{#", *s))
            return false;
        if (*s == '\\') {
            s++;
            if (*s == '\0' || (*s >= '0' && *s <= '9') ||
                (is_letter(*s) && !strchr("dDwWsSbB", *s)))
                return false;
        } else if (is_name_letter(*s) && (s[1] == '\0' || !strchr("?*{", s[1]))) {
            needs = true;
        }
    }
    return needs;
}
