/* A state becomes text, and a sealed memfd.
 *
 * Text begins with "=" and has %XX for whatever is no plain character. No memory is needed
 * but the buffer: this is done while a server runs. Who reads it sees by the seals that
 * nobody can have changed it. */
#include "base/text.h"
#include "link/state_text.h"
#include "os/fd.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    WORKER_BYTES = 512, /* a line of one, at most */
};

size_t
pf_state_bytes(unsigned workers)
{
    return 3 * sizeof(struct pf_state) + (size_t)workers * WORKER_BYTES;
}

static void
put_text(struct pf_text *t, const char *text)
{
    pf_text_add(t, " =");
    for (; *text != '\0'; text++)
        pf_text_add(t, isgraph((unsigned char)*text) && *text != '%' ? "%c" : "%%%02X",
                    (unsigned char)*text);
}

static void
put_field(struct pf_text *t, const struct pf_state_field *f, void *base)
{
    void *value = pf_state_at(base, f->offset);

    switch (f->type) {
    case PF_STATE_FLAG: pf_text_add(t, " %d", *(bool *)value); break;
    case PF_STATE_UNSIGNED: pf_text_add(t, " %u", *(unsigned *)value); break;
    case PF_STATE_NUMBER: pf_text_add(t, " %d", *(int *)value); break;
    case PF_STATE_LONG: pf_text_add(t, " %" PRIu64, *(uint64_t *)value); break;
    case PF_STATE_TIME: pf_text_add(t, " %" PRId64, *(int64_t *)value); break;
    case PF_STATE_TEXT: put_text(t, value); break;
    }
}

static void
put_line(struct pf_text *t, const struct pf_state_word *word, void *base)
{
    pf_text_add(t, "%s", word->word);
    for (size_t i = 0; i < word->field_count; i++)
        put_field(t, &word->fields[i], base);
    pf_text_add(t, "\n");
}

static void
put_words(struct pf_text *t, struct pf_state *s, const struct pf_state_word *word)
{
    unsigned count = word->count ? *pf_state_count_of(s, word) : 1;

    for (unsigned i = 0; i < count; i++)
        put_line(t, word, pf_state_at(pf_state_table_of(s, word), i * word->size));
}

int
pf_state_print(struct pf_state *s, char *buffer, size_t bytes, size_t *ret_length)
{
    struct pf_text t;

    pf_text_init(&t, buffer, bytes);
    pf_text_add(&t, "%s %d\n", pf_state_heading, PF_STATE_VERSION);
    for (size_t i = 0; i < PF_STATE_WORDS; i++)
        put_words(&t, s, &pf_state_words[i]);
    for (unsigned i = 0; i < PF_STATE_FD_COUNT_OF; i++)
        pf_text_add(&t, "fd %s %d\n", pf_state_fd_names[i], s->fds[i]);
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
    return fcntl(fd, F_ADD_SEALS, PF_STATE_SEALS) < 0 ? -errno : 0;
}

int
pf_state_seal(struct pf_state *s, char *buffer, size_t bytes)
{
    size_t length = 0;
    int r = pf_state_print(s, buffer, bytes, &length);
    int fd;

    if (r < 0)
        return r;
    fd = memfd_create(pf_state_heading, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    r = fill(fd, buffer, length);
    if (r < 0)
        pf_fd_close(&fd);
    return r < 0 ? r : fd;
}
