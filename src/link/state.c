/* The text of a state, by tables.
 *
 * A line is a word and the fields of one struct, in the order of its table below; whoever
 * adds a member adds a row. Words may come in any order, and each as often as there is room
 * for it. The first line says what this is, the last one that nothing is missing.
 *
 *   prefork-state 1
 *   server 1 =echo 4711 3 3 0 0 = 0 1024 ...
 *   fd board 9
 *   listener 7 1 0 0 0 0 0 0 =127.0.0.1:8080
 *   worker 0 0 2 0 0 4712 88112 1 ...
 *   end
 *
 * Text begins with "=" and has %XX for whatever is no plain character. The writer needs no
 * memory but the buffer: it is used while a server runs. */
#include "link/state.h"

#include "base/text.h"
#include "os/fd.h"
#include "os/memory.h"
#include <prefork/prefork.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WORKER_BYTES = 512, /* a line of one, at most */
    SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL,
};

enum type {
    FLAG,     /* bool */
    UNSIGNED, /* unsigned, and enums */
    NUMBER,   /* int: a descriptor or a pid; negative: none */
    LONG,     /* uint64_t */
    TIME,     /* pf_time */
    TEXT,     /* char[size] */
};

struct field {
    enum type type;
    size_t offset;
    size_t size;
};

#define FIELD(type, of, member)                                                            \
    {                                                                                      \
        type, offsetof(struct of, member), sizeof(((struct of *)NULL)->member)             \
    }

static const struct field server_fields[] = {
    FIELD(UNSIGNED, pf_state, kind),
    FIELD(TEXT, pf_state, name),
    FIELD(NUMBER, pf_state, pid),
    FIELD(LONG, pf_state, generation),
    FIELD(LONG, pf_state, reload),
    FIELD(LONG, pf_state, stored),
    FIELD(UNSIGNED, pf_state, wanted),
    FIELD(TEXT, pf_state, reason),
    FIELD(LONG, pf_state, mask),
    FIELD(LONG, pf_state, nofile_soft),
    FIELD(LONG, pf_state, nofile_hard),
    FIELD(TIME, pf_state, watchdog),
    FIELD(FLAG, pf_state, forked),
    FIELD(TEXT, pf_state, pid_file),
    FIELD(TEXT, pf_state, score_file),
    FIELD(LONG, pf_state, score_number),
    FIELD(UNSIGNED, pf_state, score_used),
    FIELD(UNSIGNED, pf_state, slots),
    FIELD(UNSIGNED, pf_state, slot_bytes),
    FIELD(LONG, pf_state, births),
    FIELD(LONG, pf_state, outdated_after),
    FIELD(LONG, pf_state, outdated),
    FIELD(LONG, pf_state, births_at_failure),
    FIELD(LONG, pf_state, requests),
    FIELD(UNSIGNED, pf_state, size),
    FIELD(UNSIGNED, pf_state, surge),
    FIELD(UNSIGNED, pf_state, max_servers),
};

static const struct field listener_fields[] = {
    FIELD(NUMBER, pf_state_listener, fd),      FIELD(UNSIGNED, pf_state_listener, id),
    FIELD(UNSIGNED, pf_state_listener, proto), FIELD(UNSIGNED, pf_state_listener, shard),
    FIELD(FLAG, pf_state_listener, inherited), FIELD(FLAG, pf_state_listener, any_port),
    FIELD(LONG, pf_state_listener, dev),       FIELD(LONG, pf_state_listener, ino),
    FIELD(TEXT, pf_state_listener, address),
};

static const struct field file_fields[] = {
    FIELD(NUMBER, pf_state_file, fd),
    FIELD(UNSIGNED, pf_state_file, role),
    FIELD(TEXT, pf_state_file, path),
};

static const struct field waiter_fields[] = {
    FIELD(NUMBER, pf_state_waiter, fd),
    FIELD(LONG, pf_state_waiter, number),
};

static const struct field worker_fields[] = {
    FIELD(UNSIGNED, pf_state_worker, slot),   FIELD(UNSIGNED, pf_state_worker, kind),
    FIELD(UNSIGNED, pf_state_worker, life),   FIELD(UNSIGNED, pf_state_worker, step),
    FIELD(UNSIGNED, pf_state_worker, reason), FIELD(NUMBER, pf_state_worker, pid),
    FIELD(LONG, pf_state_worker, start),      FIELD(LONG, pf_state_worker, birth),
    FIELD(TIME, pf_state_worker, born),       FIELD(TIME, pf_state_worker, asked),
    FIELD(TIME, pf_state_worker, signalled),  FIELD(FLAG, pf_state_worker, was_ready),
    FIELD(FLAG, pf_state_worker, exempt),     FIELD(NUMBER, pf_state_worker, channel),
    FIELD(NUMBER, pf_state_worker, wire),     FIELD(NUMBER, pf_state_worker, departures),
    FIELD(LONG, pf_state_worker, score),      FIELD(UNSIGNED, pf_state_worker, log_kind),
    FIELD(FLAG, pf_state_worker, adopted),
};

/* A line's word, and what it is about: one struct, or the next of a table in the state. */
struct word {
    const char *word;
    const struct field *fields;
    size_t field_count;
    size_t table;     /* offset of the first one, or of the pointer to it */
    size_t size;      /* of each */
    size_t count;     /* offset of how many there are; 0: there is one */
    unsigned maximum; /* 0: the state says how many there may be */
};

#define TABLE(word, fields, member, count, maximum)                                        \
    {                                                                                      \
        word, fields, PF_COUNT(fields), offsetof(struct pf_state, member),                 \
            sizeof(*((struct pf_state *)NULL)->member), offsetof(struct pf_state, count),  \
            maximum                                                                        \
    }

static const struct word words[] = {
    {"server", server_fields, PF_COUNT(server_fields), 0, 0, 0, 1},
    TABLE("listener", listener_fields, listeners, listener_count, PF_STATE_LISTENERS_MAX),
    TABLE("file", file_fields, files, file_count, PF_STATE_FILES_MAX),
    TABLE("waiter", waiter_fields, waiters, waiter_count, PF_STATE_WAITERS_MAX),
    TABLE("worker", worker_fields, workers, worker_count, 0),
};

static const char *const fd_names[PF_STATE_FD_COUNT_OF] = {
    [PF_STATE_FD_BOARD] = "board",     [PF_STATE_FD_HINTS] = "hints",
    [PF_STATE_FD_WAKE] = "wake",       [PF_STATE_FD_PASS] = "pass",
    [PF_STATE_FD_NOTICES] = "notices", [PF_STATE_FD_PID] = "pid",
    [PF_STATE_FD_NOTIFY] = "notify",   [PF_STATE_FD_STORE] = "store",
    [PF_STATE_FD_CONTROL] = "control", [PF_STATE_FD_VERDICT] = "verdict",
    [PF_STATE_FD_SCORE] = "score",     [PF_STATE_FD_PAGES] = "pages",
    [PF_STATE_FD_TICKETS] = "tickets",
};

static const char heading[] = "prefork-state";

void
pf_state_init(struct pf_state *s)
{
    struct pf_state_worker *workers = s->workers;
    unsigned capacity = s->worker_capacity;

    memset(s, 0, sizeof *s);
    s->workers = workers;
    s->worker_capacity = capacity;
    s->watchdog = PF_NEVER;
    for (unsigned i = 0; i < PF_STATE_FD_COUNT_OF; i++)
        s->fds[i] = -1;
}

static void *
at(void *base, size_t offset)
{
    return (char *)base + offset;
}

static unsigned *
count_of(struct pf_state *s, const struct word *word)
{
    return at(s, word->count);
}

/* Where the structs of a word are. */
static void *
table_of(struct pf_state *s, const struct word *word)
{
    return word->maximum == 0 ? (void *)s->workers : at(s, word->table);
}

size_t
pf_state_bytes(unsigned workers)
{
    return 3 * sizeof(struct pf_state) + (size_t)workers * WORKER_BYTES;
}

/* ---- writing --------------------------------------------------------------------------
 */

static void
put_text(struct pf_text *t, const char *text)
{
    pf_text_add(t, " =");
    for (; *text != '\0'; text++)
        pf_text_add(t, isgraph((unsigned char)*text) && *text != '%' ? "%c" : "%%%02X",
                    (unsigned char)*text);
}

static void
put_field(struct pf_text *t, const struct field *f, void *base)
{
    void *value = at(base, f->offset);

    switch (f->type) {
    case FLAG: pf_text_add(t, " %d", *(bool *)value); break;
    case UNSIGNED: pf_text_add(t, " %u", *(unsigned *)value); break;
    case NUMBER: pf_text_add(t, " %d", *(int *)value); break;
    case LONG: pf_text_add(t, " %" PRIu64, *(uint64_t *)value); break;
    case TIME: pf_text_add(t, " %" PRId64, *(int64_t *)value); break;
    case TEXT: put_text(t, value); break;
    }
}

static void
put_line(struct pf_text *t, const struct word *word, void *base)
{
    pf_text_add(t, "%s", word->word);
    for (size_t i = 0; i < word->field_count; i++)
        put_field(t, &word->fields[i], base);
    pf_text_add(t, "\n");
}

static void
put_words(struct pf_text *t, struct pf_state *s, const struct word *word)
{
    unsigned count = word->count ? *count_of(s, word) : 1;

    for (unsigned i = 0; i < count; i++)
        put_line(t, word, at(table_of(s, word), i * word->size));
}

int
pf_state_print(struct pf_state *s, char *buffer, size_t bytes, size_t *ret_length)
{
    struct pf_text t;

    pf_text_init(&t, buffer, bytes);
    pf_text_add(&t, "%s %d\n", heading, PF_STATE_VERSION);
    for (size_t i = 0; i < PF_COUNT(words); i++)
        put_words(&t, s, &words[i]);
    for (unsigned i = 0; i < PF_STATE_FD_COUNT_OF; i++)
        pf_text_add(&t, "fd %s %d\n", fd_names[i], s->fds[i]);
    pf_text_add(&t, "end\n");
    if (t.cut)
        return -ENOSPC;
    *ret_length = t.length;
    return 0;
}

static int
fill(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            bytes += n;
            length -= (size_t)n;
        }
    }
    return fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
}

int
pf_state_seal(struct pf_state *s, char *buffer, size_t bytes)
{
    size_t length = 0;
    int r = pf_state_print(s, buffer, bytes, &length);
    int fd;

    if (r < 0)
        return r;
    fd = memfd_create(heading, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    r = fill(fd, buffer, length);
    if (r < 0)
        pf_fd_close(&fd);
    return r < 0 ? r : fd;
}

/* ---- reading --------------------------------------------------------------------------
 */

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
get_field(const struct field *f, const char *word, void *base)
{
    void *value = at(base, f->offset);
    int64_t number = 0;
    uint64_t big = 0;
    int r;

    switch (f->type) {
    case TEXT: return get_text(word, value, f->size);
    case LONG:
        r = pf_text_number(word, &big);
        *(uint64_t *)value = big;
        return r;
    case TIME:
        r = get_signed(word, INT64_MIN, INT64_MAX, &number);
        *(pf_time *)value = number;
        return r;
    case FLAG:
        r = get_signed(word, 0, 1, &number);
        *(bool *)value = number != 0;
        return r;
    case UNSIGNED:
        r = get_signed(word, 0, UINT_MAX, &number);
        *(unsigned *)value = (unsigned)number;
        return r;
    case NUMBER:
        r = get_signed(word, -1, INT_MAX, &number);
        *(int *)value = (int)number;
        return r;
    }
    return -EINVAL;
}

static int
get_line(struct reader *r, const struct word *word, void *base)
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
place_of(struct pf_state *s, const struct word *word)
{
    unsigned maximum = word->maximum ? word->maximum : s->worker_capacity;
    unsigned *count = word->count ? count_of(s, word) : NULL;

    if (!count)
        return s;
    return *count < maximum ? at(table_of(s, word), (*count)++ * word->size) : NULL;
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
        if (strcmp(name, fd_names[i]) == 0) {
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
    for (size_t i = 0; i < PF_COUNT(words); i++) {
        void *place;
        if (strcmp(name, words[i].word) != 0)
            continue;
        place = place_of(s, &words[i]);
        return place ? get_line(r, &words[i], place) : -ENOSPC;
    }
    return -EINVAL;
}

static int
check_heading(struct reader *r, struct pf_error *error)
{
    const char *word = next_line(r) ? next_word(r) : NULL;
    const char *version = word ? next_word(r) : NULL;
    uint64_t number = 0;

    if (!version || strcmp(word, heading) != 0 || pf_text_number(version, &number) < 0)
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
    int e = check_heading(&r, error);

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
    s->worker_capacity = (unsigned)(bytes / (2 * PF_COUNT(worker_fields))) + 1;
    s->workers = pf_memory_new(s->worker_capacity * sizeof *s->workers);
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
    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0)
        return pf_error_set(error, PREFORK_EXIT_SOFTWARE, EBADMSG,
                            "descriptor %d is no sealed state of a master", fd);
    return open_text(s, fd, (size_t)st.st_size, error);
}

void
pf_state_free(struct pf_state *s)
{
    pf_memory_free(s->workers, s->worker_capacity * sizeof *s->workers);
    s->workers = NULL;
    s->worker_count = 0;
    s->worker_capacity = 0;
}

/* ---- descriptors ----------------------------------------------------------------------
 */

static void
each_of_worker(struct pf_state_worker *w, void (*visit)(void *context, int *fd),
               void *context)
{
    visit(context, &w->channel);
    visit(context, &w->wire);
    visit(context, &w->departures);
}

void
pf_state_each_fd(struct pf_state *s, void (*visit)(void *context, int *fd), void *context)
{
    for (unsigned i = 0; i < PF_STATE_FD_COUNT_OF; i++)
        visit(context, &s->fds[i]);
    for (unsigned i = 0; i < s->listener_count; i++)
        visit(context, &s->listeners[i].fd);
    for (unsigned i = 0; i < s->file_count; i++)
        visit(context, &s->files[i].fd);
    for (unsigned i = 0; i < s->waiter_count; i++)
        visit(context, &s->waiters[i].fd);
    for (unsigned i = 0; i < s->worker_count; i++)
        each_of_worker(&s->workers[i], visit, context);
}
