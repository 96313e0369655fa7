/* The scoreboard's file: what it says, who may have it, what is left alone. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "link/score_file.h"
#include "link/score_found.h"
#include "os/share.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RECORDS = 8,
    TEXT_BYTES = 512,
};

struct fixture {
    char directory[64];
    char path[96];
    struct pf_score_file file;
    struct pf_error error;
    char told[TEXT_BYTES];
};

static void
keep(void *context, const char *text)
{
    struct fixture *f = context;

    (void)snprintf(f->told, sizeof f->told, "%s", text);
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    (void)snprintf(f->directory, sizeof f->directory, "/tmp/score-file-test.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    (void)snprintf(f->path, sizeof f->path, "%s/board", f->directory);
    f->file = (struct pf_score_file)PF_SCORE_FILE_NONE;
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(pf_score_file_close(&f->file), 0);
    (void)unlink(f->path);
    assert_int_equal(rmdir(f->directory), 0); /* nothing else was left there */
    free(f);
    return 0;
}

static int
open_file(struct fixture *f, struct pf_score_file *file, const char *name)
{
    f->error = (struct pf_error){0};
    return pf_score_file_open(file, f->path, RECORDS, name, 42, keep, f, &f->error);
}

static void
write_text(const char *path, const void *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_int_equal(write(fd, bytes, count), count);
    assert_int_equal(close(fd), 0);
}

/* As another program would: its own descriptor. */
static void
read_at(const struct fixture *f, off_t at, void *bytes, size_t count)
{
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);

    assert_int_equal(pread(fd, bytes, count, at), count);
    assert_int_equal(close(fd), 0);
}

static void
read_line(const struct fixture *f, unsigned slot, struct pf_score_line *line)
{
    struct pf_score score;

    read_at(f, (off_t)((1 + slot) * pf_share_page_bytes()), &score, sizeof score);
    assert_int_equal(pf_score_glance(&score, line), 0);
}

static void
the_head_says_who_and_how(void **state)
{
    struct fixture *f = *state;
    struct pf_score_head head;
    struct stat st;

    assert_int_equal(open_file(f, &f->file, "example"), 0);
    read_at(f, 0, &head, sizeof head);
    assert_memory_equal(head.magic, PF_SCORE_MAGIC, sizeof head.magic);
    assert_int_equal(head.order, PF_SCORE_ORDER);
    assert_int_equal(head.version, PF_SCORE_VERSION);
    assert_int_equal(head.head_bytes, pf_share_page_bytes());
    assert_int_equal(head.stride, pf_share_page_bytes());
    assert_int_equal(head.records, RECORDS);
    assert_int_equal(head.pid, getpid());
    assert_int_equal(head.started, 42);
    assert_string_equal(head.name, "example");
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_size, (1 + RECORDS) * pf_share_page_bytes());
    assert_string_equal(f->told, "");
}

static void
lines_of_the_master_and_of_a_worker_are_there(void **state)
{
    struct fixture *f = *state;
    struct pf_score_line line = {.pid = 7, .state = 'S', .requests = 1ULL << 40};
    struct pf_score_line got;
    struct pf_score *claimed;

    assert_int_equal(open_file(f, &f->file, "example"), 0);
    assert_int_equal(pf_score_file_write(&f->file, 3, &line), 0);
    read_line(f, 3, &got);
    assert_memory_equal(&got, &line, sizeof line);
    claimed = pf_score_file_claim(f->file.page_fd, 3);
    assert_non_null(claimed);
    assert_int_equal(claimed->sequence % 2, 0);
    line.state = '_';
    pf_score_write(claimed, &line);
    read_line(f, 3, &got);
    assert_memory_equal(&got, &line, sizeof line);
    memset(claimed, 0xff,
           pf_share_page_bytes()); /* a stray pointer, and death in a write */
    line = (struct pf_score_line){0};
    assert_int_equal(pf_score_file_write(&f->file, 3, &line), 0);
    read_line(f, 3, &got);
    assert_memory_equal(&got, &line, sizeof line);
    assert_int_equal(((char *)claimed)[pf_share_page_bytes() - 1], 0);
}

static void
totals_are_a_record_of_the_head(void **state)
{
    struct fixture *f = *state;
    const struct pf_score_totals totals = {1, 2, 3, 1, 5};
    struct pf_score_head head;

    assert_int_equal(open_file(f, &f->file, "example"), 0);
    assert_int_equal(pf_score_file_write_totals(&f->file, &totals), 0);
    read_at(f, 0, &head, sizeof head);
    assert_int_equal(head.totals.sequence, 2);
    assert_memory_equal(&head.totals.words, &totals, sizeof totals);
    assert_string_equal(head.name, "example");
}

static void
a_running_server_keeps_it(void **state)
{
    struct fixture *f = *state;
    struct pf_score_file second = PF_SCORE_FILE_NONE;
    char expected[TEXT_BYTES];

    assert_int_equal(open_file(f, &f->file, "first"), 0);
    assert_true(open_file(f, &second, "second") < 0);
    (void)snprintf(expected, sizeof expected,
                   "scoreboard_path %s: is that of the running server first, process %d: "
                   "stop it, or name another path",
                   f->path, (int)getpid());
    assert_string_equal(f->error.text, expected);
    assert_int_equal(pf_score_file_damage(&f->file), PF_SCORE_INTACT);
}

/* Anybody who may read the file may have such a lock. */
static void
a_read_lock_keeps_nothing(void **state)
{
    struct fixture *f = *state;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    struct pf_score_head head = {.order = PF_SCORE_ORDER, .version = 77, .pid = 9};
    int fd;

    memcpy(head.magic, PF_SCORE_MAGIC, sizeof head.magic);
    memcpy(head.name, "ol\nd", 4);
    write_text(f->path, &head, sizeof head);
    fd = open(f->path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    assert_int_equal(open_file(f, &f->file, "new"), 0);
    assert_non_null(strstr(f->told, "made anew: the server ol?d, process 9, ended"));
    assert_int_equal(close(fd), 0);
    fd = open(f->path, O_RDONLY | O_CLOEXEC);
    assert_true(pf_score_found_is_held(fd));
    assert_int_equal(close(fd), 0);
}

/* A worker that lives on holds no lock by what it has mapped. */
static void
a_mapped_page_is_no_lock(void **state)
{
    struct fixture *f = *state;
    struct pf_score_found found;
    int ends[2];
    char byte = 0;
    pid_t worker;

    assert_int_equal(open_file(f, &f->file, "example"), 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    worker = fork();
    if (worker == 0) {
        byte = pf_score_file_claim(f->file.page_fd, 0) ? 'y' : 'n';
        pf_score_file_leave(&f->file);
        (void)!write(ends[1], &byte, 1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    pf_score_file_leave(&f->file);
    assert_int_equal(pf_score_found_take(f->path, &found, &f->error), 0);
    assert_true(found.fd >= 0);
    assert_int_equal(close(found.fd), 0);
    assert_int_equal(kill(worker, SIGKILL), 0);
    assert_int_equal(waitpid(worker, NULL, 0), worker);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void
assert_left_alone(struct fixture *f, const char *why)
{
    assert_true(open_file(f, &f->file, "example") < 0);
    assert_non_null(strstr(f->error.text, f->path));
    assert_non_null(strstr(f->error.text, why));
}

static void
other_files_are_left_alone(void **state)
{
    struct fixture *f = *state;
    static const char text[1000] = "PREFORK?";
    char back[sizeof text];

    write_text(f->path, "", 0);
    assert_left_alone(f, "no scoreboard");
    write_text(f->path, text, sizeof text);
    assert_left_alone(f, "no scoreboard");
    read_at(f, 0, back, sizeof back);
    assert_memory_equal(back, text, sizeof text);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(symlink("/dev/null", f->path), 0);
    assert_left_alone(f, "is a symbolic link");
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_left_alone(f, "is a FIFO");
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_left_alone(f, "is a directory");
    assert_int_equal(rmdir(f->path), 0);
}

static void
damage_is_seen(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_file(f, &f->file, "example"), 0);
    assert_int_equal(truncate(f->path, 100), 0);
    assert_int_equal(pf_score_file_damage(&f->file), PF_SCORE_CUT);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(pf_score_file_damage(&f->file), PF_SCORE_REMOVED);
}

/* What is at the path at the end is another one's. */
static void
only_ours_is_removed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_file(f, &f->file, "example"), 0);
    assert_int_equal(unlink(f->path), 0);
    write_text(f->path, "mine", 4);
    assert_int_equal(pf_score_file_close(&f->file), 0);
    assert_int_equal(access(f->path, F_OK), 0);
}

/* ---- from one master to the next ---- */

/* What the next master is given: the descriptors, and nothing else of the file. */
static int
adopt(struct fixture *f, unsigned records, const char *name, struct pf_score_file *next)
{
    return pf_score_file_adopt(next, f->path, records, name, f->file.fd, f->file.page_fd);
}

static void
assert_held(const struct fixture *f)
{
    int fd = open(f->path, O_RDWR | O_CLOEXEC);

    assert_true(pf_score_found_is_held(fd));
    assert_int_equal(close(fd), 0);
}

/* The one before is no master any more: its memory is gone with its program. */
static void
forget_before(struct fixture *f)
{
    f->file.fd = -1;
    f->file.page_fd = -1;
    pf_score_file_leave(&f->file);
}

static void
the_next_master_goes_on_with_it(void **state)
{
    struct fixture *f = *state;
    const struct pf_score_line line = {.pid = 7, .state = 'W'};
    struct pf_score_file next;
    struct pf_score_head head;
    struct pf_score_line got;

    assert_int_equal(open_file(f, &f->file, "example"), 0);
    assert_int_equal(pf_score_file_write(&f->file, 3, &line), 0);
    assert_int_equal(adopt(f, RECORDS - 2, "example", &next), 0);
    forget_before(f);
    assert_int_equal(next.records, RECORDS);
    read_line(f, 3, &got);
    assert_int_equal(got.pid, 7);
    read_at(f, 0, &head, sizeof head);
    assert_int_equal(head.started, 42);
    assert_int_equal(pf_score_file_write(&next, RECORDS - 1, &line), 0);
    assert_held(f);
    f->file = next;
}

/* After the death of a master. */
static void
the_next_master_says_who_it_is(void **state)
{
    struct fixture *f = *state;
    const int32_t stranger = 1;
    struct pf_score_head head;
    struct pf_score_file next;

    assert_int_equal(open_file(f, &f->file, "example"), 0);
    assert_int_equal(
        pwrite(f->file.fd, &stranger, sizeof stranger, offsetof(struct pf_score_head, pid)),
        sizeof stranger);
    assert_int_equal(adopt(f, RECORDS, "example", &next), 0);
    forget_before(f);
    f->file = next;
    read_at(f, 0, &head, sizeof head);
    assert_int_equal(head.pid, getpid());
}

static void
another_file_is_not_adopted(void **state)
{
    struct fixture *f = *state;
    struct pf_score_file next;

    assert_int_equal(open_file(f, &f->file, "example"), 0);
    assert_int_equal(adopt(f, RECORDS + 1, "example", &next), -EBADMSG);
    assert_int_equal(adopt(f, RECORDS, "another", &next), -EBADMSG);
    assert_int_equal(pf_score_file_adopt(&next, "/dev/null", RECORDS, "example", f->file.fd,
                                         f->file.page_fd),
                     -ESTALE);
    assert_int_equal(
        pf_score_file_adopt(&next, f->path, RECORDS, "example", f->file.fd, STDIN_FILENO),
        -ESTALE);
    assert_int_equal(ftruncate(f->file.fd, (off_t)pf_share_page_bytes()), 0);
    assert_int_equal(adopt(f, RECORDS, "example", &next), -EBADMSG);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(adopt(f, RECORDS, "example", &next), -ESTALE);
}

/* Until it is settled, whoever looks finds the one from before. */
static void
a_new_one_takes_its_place_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct pf_score_file next = PF_SCORE_FILE_NONE;
    struct pf_score_head head;

    assert_int_equal(open_file(f, &f->file, "example"), 0);
    assert_int_equal(pf_score_file_make(&next, f->path, 2 * RECORDS, "example", 43,
                                        f->file.fd, &f->error),
                     0);
    read_at(f, 0, &head, sizeof head);
    assert_int_equal(head.started, 42);
    assert_int_equal(pf_score_file_settle(&next, f->file.fd, &f->error), 0);
    read_at(f, 0, &head, sizeof head);
    assert_int_equal(head.started, 43);
    assert_int_equal(pf_score_file_remove(f->path, &f->file.fd, &f->file.page_fd), 0);
    forget_before(f);
    f->file = next;
    assert_int_equal(access(f->path, F_OK), 0); /* another one's, by now */
}

/* The teardown sees that nothing is left. */
static void
a_new_one_can_be_given_up(void **state)
{
    struct fixture *f = *state;
    struct pf_score_file next = PF_SCORE_FILE_NONE;

    assert_int_equal(open_file(f, &f->file, "example"), 0);
    assert_int_equal(
        pf_score_file_make(&next, f->path, RECORDS, "example", 43, f->file.fd, &f->error),
        0);
    assert_int_equal(pf_score_file_close(&next), 0);
    assert_int_equal(pf_score_file_damage(&f->file), PF_SCORE_INTACT);
}

static void
a_place_that_was_taken_meanwhile_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct pf_score_file next = PF_SCORE_FILE_NONE;

    assert_int_equal(
        pf_score_file_make(&next, f->path, RECORDS, "example", 43, -1, &f->error), 0);
    write_text(f->path, "mine", 4);
    assert_int_equal(pf_score_file_settle(&next, -1, &f->error), -EEXIST);
    assert_int_equal(pf_score_file_damage(&next), PF_SCORE_REMOVED);
    assert_int_equal(pf_score_file_close(&next), 0);
    assert_int_equal(access(f->path, F_OK), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_head_says_who_and_how),
        CASE(lines_of_the_master_and_of_a_worker_are_there),
        CASE(totals_are_a_record_of_the_head),
        CASE(a_running_server_keeps_it),
        CASE(a_read_lock_keeps_nothing),
        CASE(other_files_are_left_alone),
        CASE(damage_is_seen),
        CASE(only_ours_is_removed),
        CASE(a_mapped_page_is_no_lock),
        CASE(the_next_master_goes_on_with_it),
        CASE(the_next_master_says_who_it_is),
        CASE(another_file_is_not_adopted),
        CASE(a_new_one_takes_its_place_at_the_end),
        CASE(a_new_one_can_be_given_up),
        CASE(a_place_that_was_taken_meanwhile_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
