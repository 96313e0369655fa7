/* Scoreboards in files: what is read from a good one, and that no bad one does harm. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "link/score.h"
#include "status/record.h"
#include "status/scoreboard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    HEAD = 4096,
    STRIDE = 512,
    RECORDS = 8,
    BYTES = HEAD + RECORDS * STRIDE,
};

/* A file below /tmp, its bytes as the writing side sees them. */
struct board {
    char path[32];
    int fd;
    char *bytes;
};

static struct pf_score_head *
head_of(const struct board *b)
{
    return (void *)b->bytes;
}

static struct pf_score *
record_of(const struct board *b, unsigned slot)
{
    return (void *)(b->bytes + HEAD + (size_t)slot * STRIDE);
}

static void
write_totals(const struct board *b, const struct pf_score_totals *totals)
{
    struct pf_score_line line = {0};

    memcpy(&line, totals, sizeof *totals);
    pf_score_write(&head_of(b)->totals, &line);
}

static int
make_board(void **state)
{
    struct board *b = calloc(1, sizeof *b);

    if (!b)
        return -1;
    (void)strcpy(b->path, "/tmp/scoreboard-test-XXXXXX");
    b->fd = mkostemp(b->path, O_CLOEXEC);
    if (b->fd < 0 || ftruncate(b->fd, BYTES) < 0)
        return -1;
    b->bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
    if (b->bytes == MAP_FAILED)
        return -1;
    *head_of(b) = (struct pf_score_head){
        .magic = PF_SCORE_MAGIC,
        .order = PF_SCORE_ORDER,
        .version = PF_SCORE_VERSION,
        .head_bytes = HEAD,
        .stride = STRIDE,
        .records = RECORDS,
        .pid = 4711,
        .started = 1000000,
        .name = "hello",
    };
    write_totals(
        b, &(struct pf_score_totals){.updated = 2500000, .births = 9, .requests = 50});
    *state = b;
    return 0;
}

static int
remove_board(void **state)
{
    struct board *b = *state;

    (void)munmap(b->bytes, BYTES);
    (void)close(b->fd);
    (void)unlink(b->path);
    free(b);
    return 0;
}

static struct pf_score_line
line_of(int pid, char letter)
{
    struct pf_score_line line = {
        .pid = pid,
        .state = (uint8_t)letter,
        .born = 1500000,
        .request = 1750000,
        .updated = 2000000,
        .requests = 3,
        .proto = "tcp",
        .label = "serving",
    };

    line.peer = (struct pf_score_end){.family = AF_INET, .port = 49152};
    (void)inet_pton(AF_INET, "192.0.2.1", line.peer.address);
    line.local = (struct pf_score_end){.family = AF_INET6, .port = 80, .scope = 2};
    (void)inet_pton(AF_INET6, "fe80::1", line.local.address);
    return line;
}

static void
write_line(const struct board *b, unsigned slot, const struct pf_score_line *line)
{
    pf_score_write(record_of(b, slot), line);
}

/* Reading fails so, and the sentence has these words. */
static void
assert_refused(const struct board *b, int expected, const char *words)
{
    struct prefork_scoreboard *read = NULL;
    struct pf_error error = {0};

    assert_int_equal(pf_scoreboard_read(b->path, &read, &error), expected);
    assert_null(read);
    if (!strstr(error.text, words) || !strstr(error.text, b->path))
        fail_msg("\"%s\" is not in: %s", words, error.text);
}

static struct prefork_scoreboard *
assert_read(const struct board *b)
{
    struct prefork_scoreboard *read = NULL;
    struct pf_error error = {0};

    if (pf_scoreboard_read(b->path, &read, &error) != 0)
        fail_msg("%s", error.text);
    return read;
}

/* ---- a good one -----------------------------------------------------------------------
 */

static void
a_line_is_read_field_by_field(void **state)
{
    const struct board *b = *state;
    struct pf_score_line line = line_of(77, 'W');
    struct prefork_scoreboard *read;
    const struct prefork_score *w;

    write_line(b, 5, &line);
    read = assert_read(b);
    assert_int_equal(read->num_children, 1);
    w = &read->workers[0];
    assert_int_equal(w->slot, 5);
    assert_int_equal(w->pid, 77);
    assert_int_equal(w->state, 'W');
    assert_true(w->whole);
    assert_true(w->started == 1.5 && w->request_started == 1.75 && w->updated == 2.0);
    assert_int_equal(w->requests, 3);
    assert_string_equal(w->proto, "tcp");
    assert_string_equal(w->peer, "192.0.2.1:49152");
    assert_string_equal(w->local, "[fe80::1%2]:80");
    assert_string_equal(w->label, "serving");
    prefork_free_scoreboard(read);
}

static void
the_first_page_is_read_field_by_field(void **state)
{
    const struct board *b = *state;
    struct prefork_scoreboard *read = assert_read(b);

    assert_false(read->alive);
    assert_false(read->stopping);
    assert_int_equal(read->pid, 4711);
    assert_string_equal(read->name, "hello");
    assert_true(read->started == 1.0 && read->updated == 2.5);
    assert_int_equal(read->births, 9);
    assert_int_equal(read->requests, 50);
    assert_int_equal(read->num_children, 0);
    prefork_free_scoreboard(read);
    write_totals(b, &(struct pf_score_totals){.stopping = 1});
    read = assert_read(b);
    assert_true(read->stopping);
    prefork_free_scoreboard(read);
}

static void
letters_are_counted(void **state)
{
    static const char letters[RECORDS] = "_.SLD?Wx";
    const struct board *b = *state;
    struct prefork_scoreboard *read;

    for (unsigned i = 0; i < RECORDS; i++) {
        struct pf_score_line line = line_of((int)i + 1, letters[i]);
        line.updated = 3000000 + i;
        write_line(b, i, &line);
    }
    read = assert_read(b);
    assert_int_equal(read->num_children, RECORDS);
    assert_int_equal(read->num_idle, 2);
    assert_int_equal(read->num_busy, 2);
    assert_int_equal(read->requests, 50 + 3 * RECORDS);
    assert_true(read->updated == 3.000007);
    for (unsigned i = 0; i < RECORDS; i++)
        assert_int_equal(read->workers[i].state, letters[i]);
    prefork_free_scoreboard(read);
}

static void
cleared_lines_are_nobodys(void **state)
{
    const struct board *b = *state;
    struct pf_score_line line = line_of(77, '_');
    struct prefork_scoreboard *read;

    write_line(b, 0, &line);
    write_line(b, 1, &line);
    write_line(b, 0, &(struct pf_score_line){0});
    read = assert_read(b);
    assert_int_equal(read->num_children, 1);
    assert_int_equal(read->workers[0].slot, 1);
    prefork_free_scoreboard(read);
}

static void
what_a_line_says_is_not_believed(void **state)
{
    const struct board *b = *state;
    struct pf_score_line line;
    struct prefork_scoreboard *read;

    memset(&line, 0xff, sizeof line);
    write_line(b, 0, &line);
    read = assert_read(b);
    assert_int_equal(read->workers[0].state, '?');
    assert_true(read->workers[0].started == 0); /* before the epoch */
    assert_string_equal(read->workers[0].peer, "");
    assert_int_equal(strlen(read->workers[0].label), sizeof line.label - 1);
    assert_int_equal(strlen(read->workers[0].proto), sizeof line.proto - 1);
    assert_int_equal(read->num_busy + read->num_idle, 0);
    prefork_free_scoreboard(read);
}

static void
a_writer_that_died_in_the_middle_is_told(void **state)
{
    const struct board *b = *state;
    struct pf_score_line line = line_of(77, 'W');
    struct prefork_scoreboard *read;

    for (unsigned i = 0; i < RECORDS; i++) {
        write_line(b, i, &line);
        record_of(b, i)->sequence++;
    }
    head_of(b)->totals.sequence++;
    read = assert_read(b);
    assert_int_equal(read->num_children, RECORDS);
    assert_false(read->workers[0].whole);
    assert_int_equal(read->births, 9);
    prefork_free_scoreboard(read);
}

static void
the_lock_says_whether_it_lives(void **state)
{
    const struct board *b = *state;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct prefork_scoreboard *read;

    assert_int_equal(fcntl(b->fd, F_OFD_SETLK, &lock), 0);
    read = assert_read(b); /* also in the very process that holds the lock */
    assert_true(read->alive);
    prefork_free_scoreboard(read);
    lock.l_type = F_RDLCK; /* readers may lock: nobody is the server by that */
    assert_int_equal(fcntl(b->fd, F_OFD_SETLK, &lock), 0);
    read = assert_read(b);
    assert_false(read->alive);
    prefork_free_scoreboard(read);
}

/* ---- bad ones -------------------------------------------------------------------------
 */

static void
short_files(void **state)
{
    static const struct {
        off_t bytes;
        const char *words;
    } cases[] = {
        {0, "is empty"},
        {1, "ends after 1 of 304 bytes"},
        {8, "ends after 8 of 304 bytes"},
        {303, "ends after 303 of 304 bytes"},
        {304, "ends after 304 of 8192 bytes"},
        {HEAD, "ends after 4096 of 8192 bytes"},
        {BYTES - 1, "ends after 8191 of 8192 bytes"},
    };
    const struct board *b = *state;

    assert_int_equal(sizeof(struct pf_score_head), 304);
    for (size_t i = PF_COUNT(cases); i-- > 0;) {
        assert_int_equal(ftruncate(b->fd, cases[i].bytes), 0);
        assert_refused(b, -ENODATA, cases[i].words);
    }
}

static void
files_of_another_kind(void **state)
{
    const struct board *b = *state;

    (void)memcpy(b->bytes, "#!/bin\"\n", 8);
    assert_refused(b, -EINVAL, "begins with \"#!/bin\\x22\\x0A\"");
    assert_int_equal(ftruncate(b->fd, 2), 0);
    assert_refused(b, -EINVAL, "begins with \"#!\"");
}

static void
marks_of_the_head(void **state)
{
    const struct board *b = *state;

    head_of(b)->version = 7;
    assert_refused(b, -EPROTONOSUPPORT,
                   "is of version 7 where this program reads version 1");
    head_of(b)->order = __builtin_bswap32(PF_SCORE_ORDER);
    assert_refused(b, -EPROTONOSUPPORT, "the other byte order");
    head_of(b)->order = 7;
    assert_refused(b, -EINVAL, "its mark of the byte order is 0x00000007");
}

static void
absurd_sizes(void **state)
{
    static const struct {
        uint32_t head_bytes, stride, records;
        int r;
        const char *words;
    } cases[] = {
        {0, STRIDE, RECORDS, -EINVAL, "first page of 0 bytes"},
        {303, STRIDE, RECORDS, -EINVAL, "first page of 303 bytes"},
        {305, STRIDE, RECORDS, -EINVAL, "first page of 305 bytes"},
        {UINT32_MAX, STRIDE, RECORDS, -EINVAL, "first page of 4294967295 bytes"},
        {UINT32_MAX - 7, STRIDE, RECORDS, -ENODATA, "of 4294971384 bytes"},
        {HEAD, 0, RECORDS, -EINVAL, "records of 0 bytes"},
        {HEAD, 199, RECORDS, -EINVAL, "records of 199 bytes"},
        {HEAD, 201, RECORDS, -EINVAL, "records of 201 bytes"},
        {HEAD, UINT32_MAX - 7, RECORDS, -ENODATA, "ends after 8192 of"},
        {HEAD, STRIDE, 0, -EINVAL, "0 records"},
        {HEAD, STRIDE, RECORDS + 1, -ENODATA, "ends after 8192 of 8704 bytes"},
        {HEAD, STRIDE, UINT32_MAX, -EINVAL, "4294967295 records"},
        {HEAD, STRIDE, PF_RECORD_COUNT_MAX, -ENODATA, "ends after 8192 of"},
        {UINT32_MAX - 7, UINT32_MAX - 7, UINT32_MAX, -EINVAL, "4294967295 records"},
    };
    const struct board *b = *state;

    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        head_of(b)->head_bytes = cases[i].head_bytes;
        head_of(b)->stride = cases[i].stride;
        head_of(b)->records = cases[i].records;
        assert_refused(b, cases[i].r, cases[i].words);
    }
}

static void
what_is_no_file(void **state)
{
    struct board none = {.path = "/tmp/no/scoreboard"};
    struct board directory = {.path = "/tmp"};
    struct board device = {.path = "/dev/zero"};
    const struct board *b = *state;

    assert_refused(&none, -ENOENT, "is not there");
    assert_refused(&directory, -EINVAL, "is a directory");
    assert_refused(&device, -EINVAL, "is not a file");
    assert_int_equal(unlink(b->path), 0);
    assert_int_equal(mkfifo(b->path, 0600), 0);
    assert_refused(b, -EINVAL, "is not a file"); /* and does not wait for a writer */
}

static uint64_t
next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void
scribble(const struct board *b, uint64_t *seed, size_t from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        b->bytes[from + next_random(seed) % (BYTES - from)] = (char)next_random(seed);
}

/* With the head spared at times, so that what follows is reached. */
static void
garbage_does_no_harm(void **state)
{
    const struct board *b = *state;
    uint64_t seed = 20261121;
    unsigned read_well = 0;
    char good[BYTES];

    memcpy(good, b->bytes, sizeof good);
    for (unsigned round = 0; round < 10000; round++) {
        struct prefork_scoreboard *read = NULL;
        struct pf_error error = {0};
        bool spare = next_random(&seed) % 4 != 0;
        memcpy(b->bytes, good, sizeof good);
        scribble(b, &seed, spare ? 28 : 0, next_random(&seed) % 200);
        if (pf_scoreboard_read(b->path, &read, &error) == 0) {
            assert_true(read->num_children <= RECORDS);
            read_well++;
        } else {
            assert_true(error.text[0] != '\0');
        }
        prefork_free_scoreboard(read);
    }
    assert_in_range(read_well, 7000, 9999);
}

/* ---- while others are at work ---------------------------------------------------------
 */

/* A child that does this to the board until it is killed. */
static pid_t
start(const struct board *b, void (*work)(const struct board *b, uint64_t n))
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when the test fails */
        for (uint64_t n = 0;; n++)
            work(b, n);
    }
    return pid;
}

static void
end(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
write_n(const struct board *b, uint64_t n)
{
    struct pf_score_line line = {.pid = (int32_t)(n & 0xffff) + 1, .requests = n & 0xffff};

    line.state = (uint8_t)('a' + n % 26);
    memset(line.label, line.state, sizeof line.label - 1);
    write_line(b, 0, &line);
}

static void
nothing_is_torn_while_it_is_written(void **state)
{
    const struct board *b = *state;
    unsigned whole = 0;
    pid_t writer;

    write_n(b, 0);
    writer = start(b, write_n);
    for (unsigned i = 0; i < 1000000 && whole < 10000; i++) {
        struct prefork_scoreboard *read = assert_read(b);
        const struct prefork_score *w = &read->workers[0];
        if (w->whole) {
            assert_int_equal(w->pid, w->requests + 1);
            assert_int_equal(strspn(w->label, (char[]){w->state, '\0'}), 87);
            whole++;
        }
        prefork_free_scoreboard(read);
    }
    end(writer);
    assert_int_equal(whole, 10000);
}

static void
cut_and_grow(const struct board *b, uint64_t n)
{
    if (ftruncate(b->fd, (off_t)(n * 97 % (2 * BYTES))) < 0)
        _exit(1);
    if (pwrite(b->fd, b->path, 8, HEAD) < 0 || ftruncate(b->fd, 0) < 0)
        _exit(1);
    if (pwrite(b->fd, PF_SCORE_MAGIC, 8, 0) < 0)
        _exit(1);
}

/* The child changes the size of the file in the middle of everything. */
static void
a_file_that_shrinks_is_a_failure_and_no_crash(void **state)
{
    struct board *b = *state;
    struct pf_score_head head = *head_of(b);
    unsigned failures = 0;
    pid_t cutter;

    assert_int_equal(munmap(b->bytes, BYTES), 0);
    cutter = start(b, cut_and_grow);
    for (unsigned i = 0; i < 20000; i++) {
        struct prefork_scoreboard *read = NULL;
        struct pf_error error = {0};
        int r;
        if (pwrite(b->fd, &head, sizeof head, 0) < 0 || ftruncate(b->fd, BYTES) < 0)
            fail();
        r = pf_scoreboard_read(b->path, &read, &error);
        /* A head that was cut behind its magic is of version 0. */
        if (r != 0 && r != -ENODATA && r != -EINVAL && r != -EPROTONOSUPPORT)
            fail_msg("%d: %s", r, error.text);
        failures += r != 0;
        prefork_free_scoreboard(read);
    }
    end(cutter);
    assert_in_range(failures, 1, 19999);
    b->bytes = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
    assert_true(b->bytes != MAP_FAILED);
}

static void
no_descriptor_is_left(void **state)
{
    const struct board *b = *state;
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int after;

    (void)close(before);
    prefork_free_scoreboard(assert_read(b));
    head_of(b)->version = 7;
    assert_refused(b, -EPROTONOSUPPORT, "version 7");
    assert_int_equal(prefork_read_scoreboard(b->path, NULL, NULL, 0), -EPROTONOSUPPORT);
    after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)close(after);
    assert_int_equal(before, after);
}

#define BOARD_TEST(name) cmocka_unit_test_setup_teardown(name, make_board, remove_board)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        BOARD_TEST(a_line_is_read_field_by_field),
        BOARD_TEST(the_first_page_is_read_field_by_field),
        BOARD_TEST(letters_are_counted),
        BOARD_TEST(cleared_lines_are_nobodys),
        BOARD_TEST(what_a_line_says_is_not_believed),
        BOARD_TEST(a_writer_that_died_in_the_middle_is_told),
        BOARD_TEST(the_lock_says_whether_it_lives),
        BOARD_TEST(short_files),
        BOARD_TEST(files_of_another_kind),
        BOARD_TEST(marks_of_the_head),
        BOARD_TEST(absurd_sizes),
        BOARD_TEST(what_is_no_file),
        BOARD_TEST(garbage_does_no_harm),
        BOARD_TEST(nothing_is_torn_while_it_is_written),
        BOARD_TEST(a_file_that_shrinks_is_a_failure_and_no_crash),
        BOARD_TEST(no_descriptor_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
