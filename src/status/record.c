/* Reading a scoreboard from its file.
 *
 * It is read by pread(2) and never mapped: a file that is cut while it is read is then a
 * short read, and no SIGBUS. Its pages are the ones that workers write, so what is read is
 * of this moment.
 *
 * One read may see half of what is being written, and promises no order of the bytes that
 * it copies. So a record is read in three steps: its sequence number, all of it, and the
 * number again. If both numbers are the same and even, nobody wrote in between. Otherwise
 * it is read again, which helps against a writer at work, and not against one that died in
 * the middle; so there is an end to it for each record, and one for the whole file, which
 * may be made of such records by somebody who means harm.
 *
 * Whether the server lives is the kernel's word: its master holds a lock of the file
 * (F_OFD_SETLK, fcntl(2)), which ends with it however it ends. A process id could be
 * somebody else's by now. */
#include "status/record.h"

#include "base/text.h"
#include <prefork/prefork.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ROUNDS = 500,            /* for one record; a writer needs less than a microsecond */
    ROUNDS_AWAKE = 20,       /* of these without giving the processor away */
    ROUNDS_IN_ALL = 1 << 15, /* for a whole file */
};

static_assert(sizeof(struct pf_score_totals) <= PF_SCORE_WORDS * sizeof(uint64_t),
              "totals fit into a record");

/* What is wrong with the file is a matter of what was named (78), and what the system
 * refuses is the system's (71). */
static int
refuse(const struct pf_record_file *f, int errnum, const char *what, struct pf_error *error)
{
    bool is_named = errnum == ENOENT || errnum == EINVAL || errnum == ENODATA ||
                    errnum == EPROTONOSUPPORT;

    return pf_error_set(error, is_named ? PREFORK_EXIT_CONFIG : PREFORK_EXIT_SYSTEM, errnum,
                        "scoreboard %s: %s", f->path, what);
}

static int
refuse_short(const struct pf_record_file *f, uint64_t bytes, uint64_t needed,
             struct pf_error *error)
{
    char what[128];
    struct pf_text t;

    pf_text_init(&t, what, sizeof what);
    if (bytes == 0)
        pf_text_add(&t, "is empty: its server has not written it yet, or never will");
    else
        pf_text_add(&t, "ends after %llu of %llu bytes: it was cut, or not copied whole",
                    (unsigned long long)bytes, (unsigned long long)needed);
    return refuse(f, ENODATA, what, error);
}

static int
refuse_system(const struct pf_record_file *f, int errnum, struct pf_error *error)
{
    switch (errnum) {
    case ENOENT:
        return refuse(
            f, errnum,
            "is not there; a server makes it when it starts (scoreboard_path) and "
            "removes it when it stops",
            error);
    case EACCES:
        return refuse(f, errnum,
                      "permission denied; its owner, or root, may read it or let you "
                      "(chmod)",
                      error);
    case ENXIO: return refuse(f, EINVAL, "is not a file", error); /* a socket */
    default: return refuse(f, errnum, strerror(errnum), error);
    }
}

/* Up to size bytes at offset: how many there were, or a negative errno. */
static ssize_t
read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
    size_t length = 0;

    while (length < size) {
        ssize_t n =
            pread(fd, (char *)buffer + length, size - length, (off_t)(offset + length));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        length += (size_t)n;
    }
    return (ssize_t)length;
}

static int
read_whole(const struct pf_record_file *f, void *buffer, size_t size, uint64_t offset,
           struct pf_error *error)
{
    ssize_t n = read_at(f->fd, buffer, size, offset);

    if (n < 0)
        return refuse_system(f, (int)-n, error);
    if ((size_t)n < size)
        return refuse_short(f, offset + (uint64_t)n, offset + size, error);
    return 0;
}

static int
refuse_magic(const struct pf_record_file *f, const char *bytes, size_t length,
             struct pf_error *error)
{
    char what[128];
    struct pf_text t;

    pf_text_init(&t, what, sizeof what);
    pf_text_add(&t, "is not a scoreboard: it begins with \"");
    for (size_t i = 0; i < length; i++) {
        bool is_plain = bytes[i] >= ' ' && bytes[i] <= '~' && bytes[i] != '"';
        pf_text_add(&t, is_plain ? "%c" : "\\x%02X", (unsigned char)bytes[i]);
    }
    pf_text_add(&t, "\"");
    return refuse(f, EINVAL, what, error);
}

static int
check_origin(const struct pf_record_file *f, struct pf_error *error)
{
    char what[128];
    struct pf_text t;

    if (f->head.order == __builtin_bswap32(PF_SCORE_ORDER))
        return refuse(f, EPROTONOSUPPORT,
                      "was written on a machine of the other byte order; read it there",
                      error);
    pf_text_init(&t, what, sizeof what);
    if (f->head.order != PF_SCORE_ORDER) {
        pf_text_add(&t, "is damaged: its mark of the byte order is 0x%08x", f->head.order);
        return refuse(f, EINVAL, what, error);
    }
    if (f->head.version == PF_SCORE_VERSION)
        return 0;
    pf_text_add(&t,
                "is of version %u where this program reads version %d; use the one that "
                "came with its server",
                f->head.version, PF_SCORE_VERSION);
    return refuse(f, EPROTONOSUPPORT, what, error);
}

/* No product below can overflow: two numbers of 32 bits, and one more, fit into 64. */
static int
check_sizes(const struct pf_record_file *f, uint64_t bytes, struct pf_error *error)
{
    const struct pf_score_head *h = &f->head;
    uint64_t needed = h->head_bytes + (uint64_t)h->records * h->stride;
    char what[128];
    struct pf_text t;

    pf_text_init(&t, what, sizeof what);
    if (h->head_bytes < sizeof *h || h->head_bytes % sizeof(uint64_t) != 0)
        pf_text_add(&t, "is damaged: a first page of %u bytes", h->head_bytes);
    else if (h->stride < sizeof(struct pf_score) || h->stride % sizeof(uint64_t) != 0)
        pf_text_add(&t, "is damaged: records of %u bytes", h->stride);
    else if (h->records == 0 || h->records > PF_RECORD_COUNT_MAX)
        pf_text_add(&t, "is damaged: %u records, where 1 to %d are possible", h->records,
                    PF_RECORD_COUNT_MAX);
    if (t.length > 0)
        return refuse(f, EINVAL, what, error);
    return needed > bytes ? refuse_short(f, bytes, needed, error) : 0;
}

/* The magic is looked at first, however short the file is: what is no scoreboard at all
 * shall not be called a short one. */
static int
check_head(struct pf_record_file *f, uint64_t bytes, struct pf_error *error)
{
    ssize_t n = read_at(f->fd, &f->head, sizeof f->head, 0);
    size_t begin;
    int r;

    if (n < 0)
        return refuse_system(f, (int)-n, error);
    begin = (size_t)n < sizeof f->head.magic ? (size_t)n : sizeof f->head.magic;
    if (memcmp(f->head.magic, PF_SCORE_MAGIC, begin) != 0)
        return refuse_magic(f, f->head.magic, begin, error);
    if ((size_t)n < sizeof f->head)
        return refuse_short(f, (uint64_t)n, sizeof f->head, error);
    r = check_origin(f, error);
    if (r == 0)
        r = check_sizes(f, bytes, error);
    f->head.name[sizeof f->head.name - 1] = '\0';
    return r;
}

static int
ask_alive(struct pf_record_file *f, struct pf_error *error)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

    if (fcntl(f->fd, F_OFD_GETLK, &lock) < 0)
        return refuse_system(f, errno, error);
    f->alive = lock.l_type == F_WRLCK;
    return 0;
}

static int
open_checked(struct pf_record_file *f, struct pf_error *error)
{
    struct stat st;
    int r;

    f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (f->fd < 0 || fstat(f->fd, &st) < 0)
        return refuse_system(f, errno, error);
    if (!S_ISREG(st.st_mode))
        return refuse(f, EINVAL, S_ISDIR(st.st_mode) ? "is a directory" : "is not a file",
                      error);
    r = check_head(f, (uint64_t)st.st_size, error);
    return r < 0 ? r : ask_alive(f, error);
}

int
pf_record_open(struct pf_record_file *f, const char *path, struct pf_error *error)
{
    int r;

    *f = (struct pf_record_file){.path = path, .fd = -1, .patience = ROUNDS_IN_ALL};
    r = open_checked(f, error);
    if (r < 0)
        pf_record_close(f);
    return r;
}

void
pf_record_close(struct pf_record_file *f)
{
    if (f->fd >= 0)
        (void)close(f->fd); /* nothing was written */
    f->fd = -1;
}

/* A record as it lies in the file; only its writers need the atomic one. */
struct copy {
    uint64_t sequence;
    unsigned char bytes[PF_SCORE_WORDS * sizeof(uint64_t)];
};

static_assert(sizeof(struct copy) == sizeof(struct pf_score), "a copy has all of it");

/* One round. 0 (*ret_copy is whole), PF_RECORD_E_UNSETTLED, PF_RECORD_E_UNUSED, or a
 * negative errno. */
static int
read_once(const struct pf_record_file *f, uint64_t offset, struct copy *ret_copy,
          struct pf_error *error)
{
    uint64_t before = 0;
    uint64_t after = 0;
    int r;

    r = read_whole(f, &before, sizeof before, offset, error);
    if (r < 0)
        return r;
    if (before == 0)
        return PF_RECORD_E_UNUSED;
    atomic_thread_fence(memory_order_seq_cst);
    r = read_whole(f, ret_copy, sizeof *ret_copy, offset, error);
    atomic_thread_fence(memory_order_seq_cst);
    if (r == 0)
        r = read_whole(f, &after, sizeof after, offset, error);
    if (r < 0)
        return r;
    return before == after && before % 2 == 0 ? 0 : PF_RECORD_E_UNSETTLED;
}

static int
read_record(struct pf_record_file *f, uint64_t offset, struct copy *ret_copy,
            struct pf_error *error)
{
    int r = read_once(f, offset, ret_copy, error);

    for (unsigned i = 0; r == PF_RECORD_E_UNSETTLED && i < ROUNDS && f->patience > 0; i++) {
        f->patience--;
        if (i >= ROUNDS_AWAKE)
            (void)sched_yield(); /* it may wait for this very processor */
        r = read_once(f, offset, ret_copy, error);
    }
    return r;
}

int
pf_record_line(struct pf_record_file *f, unsigned slot, struct pf_score_line *ret_line,
               struct pf_error *error)
{
    uint64_t offset = f->head.head_bytes + (uint64_t)slot * f->head.stride;
    struct pf_score_line line;
    struct copy copy;
    int r;

    PF_ASSERT(slot < f->head.records);
    r = read_record(f, offset, &copy, error);
    if (r < 0 || r == PF_RECORD_E_UNUSED)
        return r;
    memcpy(&line, copy.bytes, sizeof line);
    if (line.pid == 0 && line.state == PF_SCORE_NOBODY)
        return PF_RECORD_E_UNUSED;
    line.proto[sizeof line.proto - 1] = '\0';
    line.label[sizeof line.label - 1] = '\0';
    *ret_line = line;
    return r;
}

int
pf_record_totals(struct pf_record_file *f, struct pf_score_totals *ret_totals,
                 struct pf_error *error)
{
    struct copy copy = {0};
    int r;

    r = read_record(f, offsetof(struct pf_score_head, totals), &copy, error);
    if (r < 0)
        return r;
    memcpy(ret_totals, copy.bytes, sizeof *ret_totals);
    return r == PF_RECORD_E_UNUSED ? 0 : r; /* nothing happened yet */
}
