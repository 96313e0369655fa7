/* The table of settings: the rows of settings.def, and which of them a key means.
 *
 * The rows are made by the preprocessor and never change. A key is looked for row by row,
 * first as the row's name, then among its aliases; there are few rows and this is done at
 * start only. A guess is the name or alias with the fewest edits between it and the key.
 *
 * What always holds: in a key from outside "-" is read as "_"; no row has a "-" in its key
 * or an alias.
 *
 * Deliberately absent: values. What a row allows is checked in config/entry.c, and what was
 * set is in config/setting.c. */
#include "config/table.h"

#include "base/text.h"
#include <prefork/prefork.h>

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    KEY_BYTES = 80, /* of a key that is guessed at */
    NEAR = 3,       /* edits by which a guess may be off */
};

static const struct pf_setting rows[] = {
#define PF_SETTING(id, group, key, type, initial, min, max, unit, number, applies,         \
                   aliases, words, help, manual)                                           \
    [PF_SETTING_##id] = {group,                                                            \
                         key,                                                              \
                         PF_TYPE_##type,                                                   \
                         initial,                                                          \
                         min,                                                              \
                         max,                                                              \
                         unit,                                                             \
                         PF_NUMBER_##number,                                               \
                         PF_APPLIES_##applies,                                             \
                         aliases,                                                          \
                         words,                                                            \
                         help,                                                             \
                         manual},
#include "config/settings.def"
#undef PF_SETTING
};

const struct pf_setting *
pf_setting_row(enum pf_setting_id id)
{
    PF_ASSERT((size_t)id < PF_COUNT(rows));
    return &rows[id];
}

static char
plain(char c)
{
    return c == '-' ? '_' : c;
}

/* True if key, read with "-" as "_" and in any case, is the word of length bytes. */
static bool
is_word(const char *key, const char *word, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (tolower((unsigned char)plain(key[i])) != tolower((unsigned char)word[i]))
            return false;
    }
    return key[length] == '\0';
}

size_t
pf_words_next(const char **words)
{
    size_t length;

    *words += strspn(*words, " ");
    length = strcspn(*words, " ");
    *words += length;
    return length;
}

int
pf_words_index(const char *key, const char *words)
{
    size_t length;

    for (int i = 0; (length = pf_words_next(&words)) > 0; i++) {
        if (is_word(key, words - length, length))
            return i;
    }
    return -1;
}

int
pf_setting_find(const char *key, enum pf_setting_id *ret_id)
{
    for (unsigned i = 0; i < PF_COUNT(rows); i++) {
        if (is_word(key, rows[i].key, strlen(rows[i].key)) ||
            pf_words_index(key, rows[i].aliases) >= 0) {
            *ret_id = (enum pf_setting_id)i;
            return 0;
        }
    }
    return -ENOENT;
}

int
pf_setting_negated(const char *key, const char **ret_flag)
{
    enum pf_setting_id id;

    if (pf_setting_find(key, &id) == 0)
        return -ENOENT;
    if (!pf_text_begins(key, "no-") && !pf_text_begins(key, "no_"))
        return -ENOENT;
    if (pf_setting_find(key + 3, &id) < 0 || rows[id].type != PF_TYPE_FLAG)
        return -ENOENT;
    *ret_flag = key + 3;
    return 0;
}

/* A guess in progress. */
struct guess {
    char key[KEY_BYTES]; /* with "_" for "-" */
    const char *word;
    size_t length;
    unsigned distance;
};

static void
guess_among(struct guess *guess, const char *words)
{
    char word[KEY_BYTES];
    size_t length;
    unsigned distance;

    while ((length = pf_words_next(&words)) > 0) {
        (void)snprintf(word, sizeof word, "%.*s", (int)length, words - length);
        distance = pf_text_distance(guess->key, word);
        if (distance < guess->distance) {
            guess->word = words - length;
            guess->length = length;
            guess->distance = distance;
        }
    }
}

const char *
pf_setting_nearest(const char *key, size_t *ret_length)
{
    struct guess guess = {.distance = NEAR + 1};
    size_t length = strlen(key);

    if (length >= sizeof guess.key)
        return NULL;
    for (size_t i = 0; i < length; i++)
        guess.key[i] = plain(key[i]);
    for (size_t i = 0; i < PF_COUNT(rows); i++) {
        guess_among(&guess, rows[i].key);
        guess_among(&guess, rows[i].aliases);
    }
    /* With half of its letters changed any short word becomes any other. */
    if (!guess.word || guess.distance * 2 > length)
        return NULL;
    *ret_length = guess.length;
    return guess.word;
}
