/* Text becomes a state.
 *
 * Nothing is believed: what is no state, what another version wrote, a word that is not
 * known, a number out of its range, and more of anything than there is room for are errors,
 * which are told with the line. Until the last line was read the state means nothing. */
#include "base/text.h"
#include "link/state_text.h"
#include "os/memory.h"
#include <prefork/prefork.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A copy of the text under the reader's knife, and where it stands. */
struct reader {
    char *line;
    unsigned number; /* of the line, from 1 */
    char *rest;
};

/* The next word of the line; NULL: there is none. */
static char *
next_word(struct reader *r)
{
    return strsep(&r->line, " ");
}

/* The next line; false: there is none that is whole. */
static bool
next_line(struct reader *r)
{
    char *end = r->rest ? strchr(r->rest, '\n') : NULL;

    if (!end)
        return false;
    *end = '\0';
    r->line = r->rest;
    r->rest = end + 1;
    r->number++;
    return true;
}

static int
get_signed(const char *word, int64_t lowest, int64_t highest, int64_t *ret_number)
{
    char *end;
    long long number;

    errno = 0;
    number = strtoll(word, &end, 10);
    if (end == word || *end != '\0' || errno != 0 || isspace((unsigned char)word[0]))
        return -EINVAL;
    if (number < lowest || number > highest)
        return -ERANGE;
    *ret_number = number;
    return 0;
}

static int
hex(char c)
{
    const char *digits = "0123456789ABCDEF";
    const char *found = c == '\0' ? NULL : strchr(digits, c);

    return found ? (int)(found - digits) : -1;
}

/* What %XX stands for; -1: it is none. */
static int
get_character(const char *digits)
{
    int high = hex(digits[0]);
    int low = high < 0 ? -1 : hex(digits[1]);

    return low < 0 ? -1 : high * 16 + low;
}

static int
get_text(const char *word, char *text, size_t size)
{
    size_t length = 0;

    if (*word++ != '=')
        return -EINVAL;
    for (; *word != '\0'; word++) {
        int c = *word == '%' ? get_character(word + 1) : (unsigned char)*word;
        if (c <= 0 || length + 1 == size)
            return -EINVAL;
        word += *word == '%' ? 2 : 0;
        text[length++] = (char)c;
    }
    text[length] = '\0';
    return 0;
}

static int
get_field(const struct pf_state_field *f, const char *word, void *base)
{
    void *value = pf_state_at(base, f->offset);
    int64_t number = 0;
    uint64_t big = 0;
    int r;

    switch (f->type) {
    case PF_STATE_TEXT: return get_text(word, value, f->size);
    case PF_STATE_LONG:
        r = pf_text_number(word, &big);
        *(uint64_t *)value = big;
        return r;
    case PF_STATE_TIME:
        r = get_signed(word, INT64_MIN, INT64_MAX, &number);
        *(pf_time *)value = number;
        return r;
    case PF_STATE_FLAG:
        r = get_signed(word, 0, 1, &number);
        *(bool *)value = number != 0;
        return r;
    case PF_STATE_UNSIGNED:
        r = get_signed(word, 0, UINT_MAX, &number);
        *(unsigned *)value = (unsigned)number;
        return r;
    case PF_STATE_NUMBER:
        r = get_signed(word, -1, INT_MAX, &number);
        *(int *)value = (int)number;
        return r;
    }
    return -EINVAL;
}

static int
get_line(struct reader *r, const struct pf_state_word *word, void *base)
{
    int e = 0;

    for (size_t i = 0; i < word->field_count && e == 0; i++) {
        const char *text = next_word(r);
        e = text ? get_field(&word->fields[i], text, base) : -EINVAL;
    }
    return e == 0 && next_word(r) ? -EINVAL : e;
}

/* The struct that this line is about. */
static void *
place_of(struct pf_state *s, const struct pf_state_word *word)
{
    unsigned maximum = word->maximum ? word->maximum : s->worker_capacity;
    unsigned *count = word->count ? pf_state_count_of(s, word) : NULL;

    if (!count)
        return s;
    return *count < maximum
               ? pf_state_at(pf_state_table_of(s, word), (*count)++ * word->size)
               : NULL;
}

static int
get_fd(struct reader *r, struct pf_state *s)
{
    const char *name = next_word(r);
    const char *text = next_word(r);
    int64_t number = -1;
    int e =
        name && text && !next_word(r) ? get_signed(text, -1, INT_MAX, &number) : -EINVAL;

    for (unsigned i = 0; i < PF_STATE_FD_COUNT_OF && e == 0; i++) {
        if (strcmp(name, pf_state_fd_names[i]) == 0) {
            s->fds[i] = (int)number;
            return 0;
        }
    }
    return -EINVAL;
}

/* 1: that was the last one. */
static int
take_line(struct reader *r, struct pf_state *s)
{
    const char *name = next_word(r);

    if (strcmp(name, "end") == 0)
        return r->line || *r->rest != '\0' ? -EINVAL : 1;
    if (strcmp(name, "fd") == 0)
        return get_fd(r, s);
    for (size_t i = 0; i < PF_STATE_WORDS; i++) {
        void *place;
        if (strcmp(name, pf_state_words[i].word) != 0)
            continue;
        place = place_of(s, &pf_state_words[i]);
        return place ? get_line(r, &pf_state_words[i], place) : -ENOSPC;
    }
    return -EINVAL;
}

static int
check_pf_state_heading(struct reader *r, struct pf_error *error)
{
    const char *word = next_line(r) ? next_word(r) : NULL;
    const char *version = word ? next_word(r) : NULL;
    uint64_t number = 0;

    if (!version || strcmp(word, pf_state_heading) != 0 ||
        pf_text_number(version, &number) < 0)
        return pf_error_set(error, PREFORK_EXIT_SOFTWARE, EBADMSG,
                            "what the last master handed over is no state");
    if (number != PF_STATE_VERSION)
        return pf_error_set(
            error, PREFORK_EXIT_CONFIG, EPROTO,
            "the last master's state has version %" PRIu64
            ", and this library reads %d: stop the server and start it anew",
            number, PF_STATE_VERSION);
    return 0;
}

int
pf_state_parse(struct pf_state *s, char *text, struct pf_error *error)
{
    struct reader r = {.rest = text};
    int e = check_pf_state_heading(&r, error);

    if (e < 0)
        return e;
    pf_state_init(s);
    while (e == 0)
        e = next_line(&r) ? take_line(&r, s) : -EINVAL;
    if (e > 0)
        return 0;
    return pf_error_set(error, PREFORK_EXIT_SOFTWARE, -e,
                        "what the last master handed over is damaged in line %u: %s",
                        r.number, strerror(-e));
}

/* As many as there can be workers in so much text. */
static int
allocate_workers(struct pf_state *s, size_t bytes)
{
    s->worker_capacity =
        (unsigned)(bytes / (2 * pf_state_words[PF_STATE_WORD_WORKER].field_count)) + 1;
    s->workers = pf_memory_new_own(s->worker_capacity * sizeof *s->workers);
    return s->workers ? 0 : -ENOMEM;
}

static int
read_whole(int fd, char *text, size_t bytes)
{
    size_t length = 0;

    while (length < bytes) {
        ssize_t n = pread(fd, text + length, bytes - length, (off_t)length);
        if (n == 0 || (n < 0 && errno != EINTR))
            return n == 0 ? -EBADMSG : -errno;
        length += n > 0 ? (size_t)n : 0;
    }
    text[length] = '\0';
    return 0;
}

static int
open_text(struct pf_state *s, int fd, size_t bytes, struct pf_error *error)
{
    char *text = pf_memory_new(bytes + 1);
    int r = text ? read_whole(fd, text, bytes) : -ENOMEM;

    if (r == 0)
        r = allocate_workers(s, bytes);
    if (r < 0)
        (void)pf_error_set(error, PREFORK_EXIT_SYSTEM, -r,
                           "cannot read what the last master handed over: %s",
                           strerror(-r));
    else
        r = pf_state_parse(s, text, error);
    pf_memory_free(text, bytes + 1);
    return r;
}

int
pf_state_open(struct pf_state *s, int fd, struct pf_error *error)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);

    s->workers = NULL;
    s->worker_capacity = 0;
    pf_state_init(s);
    if (seals < 0 || (seals & PF_STATE_SEALS) != PF_STATE_SEALS || fstat(fd, &st) < 0)
        return pf_error_set(error, PREFORK_EXIT_SOFTWARE, EBADMSG,
                            "descriptor %d is no sealed state of a master", fd);
    return open_text(s, fd, (size_t)st.st_size, error);
}
