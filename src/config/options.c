/* The command line.
 *
 * There is no list of options here: a word that begins with "--" is looked up among the
 * settings, and the type of the setting says whether a value follows. A flag takes the
 * next word only if that word can be nothing else, so that `--background serve` means
 * what it says.
 *
 * A value is never guessed: one that looks like an option has to be written with "=". */
#include "config/options.h"

#include "base/text.h"
#include "config/foreign.h"
#include "config/setting.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum {
    KEY_BYTES = 80, /* longer than any key, and as much of a wrong one as is told */
};

struct words {
    struct pf_settings *settings;
    struct pf_error *error;
    int count;
    char *const *list;
    int next; /* index of the word to be read */
};

static const struct pf_origin argument = {.kind = PF_ORIGIN_ARGUMENT};

/* Say what is wrong with the shape of an option; key is without dashes. */
static int
refuse(struct words *w, const char *key, const char *what)
{
    char buffer[PF_ERROR_TEXT_BYTES];
    struct pf_text t;

    pf_text_init(&t, buffer, sizeof buffer);
    pf_origin_add_subject(&t, &argument, key);
    return pf_error_set(w->error, PREFORK_EXIT_USAGE, EINVAL, "%s: %s", buffer, what);
}

/* The next word if it may be the value of a setting, or NULL; does not move on. */
static const char *
peek_value(const struct words *w, const struct pf_setting *row)
{
    const char *word = w->next < w->count ? w->list[w->next] : NULL;
    bool flag;

    if (word && row->type == PF_TYPE_FLAG && pf_text_flag(word, &flag) < 0)
        return NULL;
    return word;
}

/* --key, --key value. */
static int
set_next(struct words *w, enum pf_setting_id id, const char *key)
{
    const struct pf_setting *row = pf_setting_row(id);
    const char *value = peek_value(w, row);

    if (!value && row->type == PF_TYPE_FLAG)
        return pf_settings_set(w->settings, key, "1", &argument, w->error);
    if (!value)
        return refuse(w, key, "a value is needed");
    if (pf_text_begins(value, "--"))
        return refuse(w, key, "a value is needed; one that begins with -- is given with =");
    w->next++;
    return pf_settings_set(w->settings, key, value, &argument, w->error);
}

/* A key that has no effect; what would be its value is passed over with it. */
static int
pass_over(struct words *w, const struct pf_foreign *foreign, const char *key,
          const char *value)
{
    bool flag;

    if (!value && w->next < w->count) {
        const char *word = w->list[w->next];
        if (foreign->is_flag ? pf_text_flag(word, &flag) == 0 : !pf_text_begins(word, "--"))
            w->next++;
    }
    return pf_settings_set(w->settings, key, "", &argument, w->error);
}

/* One option: key is without dashes and value is what stands behind "=", or NULL. */
static int
set_option(struct words *w, const char *key, const char *value)
{
    const struct pf_foreign *foreign;
    enum pf_setting_id id;
    const char *flag;

    if (pf_setting_find(key, &id) == 0) {
        if (value)
            return pf_settings_set(w->settings, key, value, &argument, w->error);
        return set_next(w, id, key);
    }
    if (pf_setting_negated(key, &flag) == 0) {
        if (value)
            return refuse(w, key, "takes no value");
        return pf_settings_set(w->settings, flag, "0", &argument, w->error);
    }
    foreign = pf_foreign_find(key);
    if (foreign)
        return pass_over(w, foreign, key, value);
    return pf_settings_set(w->settings, key, "", &argument, w->error); /* says: unknown */
}

/* Cut a word that begins with "--" at its "=". */
static int
read_option(struct words *w, const char *word)
{
    const char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    char key[KEY_BYTES];

    if (length >= sizeof key)
        length = sizeof key - 1;
    memcpy(key, word, length);
    key[length] = '\0';
    return set_option(w, key, equals ? equals + 1 : NULL);
}

static int
read_word(struct words *w)
{
    const char *word = w->list[w->next++];

    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return PF_OPTIONS_HELP;
    if (strcmp(word, "--version") == 0)
        return PF_OPTIONS_VERSION;
    if (word[1] != '-')
        return pf_error_set(w->error, PREFORK_EXIT_USAGE, ENOENT,
                            "%.80s: unknown option; options begin with --", word);
    return read_option(w, word + 2);
}

/* A word that begins with "-"; a single "-" is none. */
static bool
is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

int
pf_options_parse(struct pf_settings *settings, int argc, char *const *argv, int *ret_used,
                 struct pf_error *error)
{
    struct words w = {settings, error, argc, argv, argc > 0 ? 1 : 0};
    int r = 0;

    while (r == 0 && w.next < argc && is_option(argv[w.next])) {
        if (strcmp(argv[w.next], "--") == 0) {
            w.next++;
            break;
        }
        r = read_word(&w);
    }
    if (r >= 0 && ret_used)
        *ret_used = w.next;
    return r;
}
