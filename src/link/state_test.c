/* The state: what is written is read, and nothing else is. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "link/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    WORKERS = 3,
    BYTES = 1 << 20,
};

static struct pf_state_worker table[WORKERS];
static struct pf_state example = {.workers = table, .worker_capacity = WORKERS};
static char buffer[BYTES];

static void
fill_example(void)
{
    pf_state_init(&example);
    example.kind = PF_STATE_ROLLBACK;
    (void)strcpy(example.name, "an echo = 100 %");
    (void)strcpy(example.reason, "line\nof \x01 two\xff words");
    example.pid = 4711;
    example.generation = UINT64_MAX;
    example.watchdog = 30 * PF_SECOND;
    example.fds[PF_STATE_FD_WAKE] = 12;
    example.max_servers = 5;
    example.listener_count = 2;
    example.listeners[1] = (struct pf_state_listener){
        .fd = 7, .proto = 3, .any_port = true, .ino = 99, .address = "[::1]:80"};
    example.file_count = 1;
    example.files[0] = (struct pf_state_file){.fd = 9, .role = 2, .path = "/a b/c"};
    example.waiter_count = 1;
    example.waiters[0] = (struct pf_state_waiter){.fd = 30, .number = 5};
    example.worker_count = WORKERS;
    for (unsigned i = 0; i < WORKERS; i++)
        table[i] = (struct pf_state_worker){.slot = i,
                                            .pid = 100 + (int)i,
                                            .birth = 1ull << 40,
                                            .born = -5,
                                            .was_ready = true,
                                            .channel = 50 + (int)i,
                                            .wire = -1,
                                            .departures = -1};
}

static void
print_example(void)
{
    size_t length = 0;

    fill_example();
    assert_int_equal(pf_state_print(&example, buffer, sizeof buffer, &length), 0);
    assert_int_equal(length, strlen(buffer));
}

static void
test_what_is_sealed_is_read(void **state)
{
    struct pf_state read;
    struct pf_error error = {0};
    int fd;

    (void)state;
    fill_example();
    fd = pf_state_seal(&example, buffer, sizeof buffer);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(pf_state_open(&read, fd, &error), 0);
    assert_int_equal(read.worker_count, WORKERS);
    assert_memory_equal(read.workers, table, sizeof table);
    assert_memory_equal(&read, &example, offsetof(struct pf_state, worker_capacity));
    pf_state_free(&read);
    (void)close(fd);
}

static void
test_a_memfd_that_is_not_sealed_is_refused(void **state)
{
    struct pf_state read;
    struct pf_error error = {0};
    int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    (void)state;
    print_example();
    assert_int_equal(write(fd, buffer, strlen(buffer)), strlen(buffer));
    assert_int_equal(pf_state_open(&read, fd, &error), -EBADMSG);
    assert_int_equal(pf_state_open(&read, STDIN_FILENO, &error), -EBADMSG);
    (void)close(fd);
}

static int
parse(const char *text, struct pf_error *error)
{
    struct pf_state_worker workers[WORKERS];
    struct pf_state *s = calloc(1, sizeof *s);
    char *copy = strdup(text);
    int r;

    assert_non_null(s);
    assert_non_null(copy);
    s->workers = workers;
    s->worker_capacity = WORKERS;
    *error = (struct pf_error){0};
    r = pf_state_parse(s, copy, error);
    free(copy);
    free(s);
    return r;
}

static void
test_whatever_is_cut_off_is_missed(void **state)
{
    struct pf_error error;
    size_t length;

    (void)state;
    print_example();
    length = strlen(buffer);
    assert_int_equal(parse(buffer, &error), 0);
    for (size_t cut = 1; cut <= length; cut++) {
        buffer[length - cut] = '\0';
        assert_true(parse(buffer, &error) < 0);
    }
}

static void
test_another_version_is_told(void **state)
{
    struct pf_error error;

    (void)state;
    assert_int_equal(parse("prefork-state 2\nend\n", &error), -EPROTO);
    assert_non_null(strstr(error.text, "version 2"));
}

static void
test_nonsense_names_its_line(void **state)
{
    static const char *const bad[] = {
        "",
        "listener 7\n",
        "listener 7 0 0 0 2 0 0 0 =x\n",
        "listener -2 0 0 0 0 0 0 0 =x\n",
        "listener 7 0 0 0 0 0 0 0 x\n",
        "listener 7 0 0 0 0 0 0 0 =%0g\n",
        "listener 7 0 0 0 0 0 0 0 =%00\n",
        "listener 7 0 0 0 0 0 0 0 =x y\n",
        "listener 99999999999 0 0 0 0 0 0 0 =x\n",
        "fd nothing 3\n",
        "fd board\n",
        "fd board 3 4\n",
        "joke\n",
        "end\nend\n",
    };
    struct pf_error error;
    char text[256];

    (void)state;
    assert_int_equal(parse("prefork-state 1\nend\n", &error), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(text, sizeof text, "prefork-state 1\n%s%s", bad[i],
                       i == 0 ? "" : "end\n");
        assert_true(parse(text, &error) < 0);
        assert_non_null(strstr(error.text, "line"));
    }
}

static void
test_more_than_there_is_room_for_is_refused(void **state)
{
    struct pf_error error;
    size_t length;

    (void)state;
    print_example();
    length = strlen(buffer) - strlen("end\n");
    for (unsigned i = 0; i < PF_STATE_WAITERS_MAX; i++)
        length += (size_t)snprintf(buffer + length, sizeof buffer - length, "waiter 3 1\n");
    (void)snprintf(buffer + length, sizeof buffer - length, "end\n");
    assert_int_equal(parse(buffer, &error), -ENOSPC);
}

static void
test_a_small_buffer_is_refused(void **state)
{
    size_t length = 0;

    (void)state;
    fill_example();
    assert_int_equal(pf_state_print(&example, buffer, 64, &length), -ENOSPC);
    assert_true(pf_state_bytes(WORKERS) <= sizeof buffer);
}

static void
count(void *context, int *fd)
{
    *(unsigned *)context += *fd >= 0;
}

static void
test_every_descriptor_is_visited(void **state)
{
    unsigned open = 0;

    (void)state;
    fill_example();
    pf_state_each_fd(&example, count, &open);
    assert_int_equal(open, 1 + 2 + 1 + 1 + WORKERS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_sealed_is_read),
        cmocka_unit_test(test_a_memfd_that_is_not_sealed_is_refused),
        cmocka_unit_test(test_whatever_is_cut_off_is_missed),
        cmocka_unit_test(test_another_version_is_told),
        cmocka_unit_test(test_nonsense_names_its_line),
        cmocka_unit_test(test_more_than_there_is_room_for_is_refused),
        cmocka_unit_test(test_a_small_buffer_is_refused),
        cmocka_unit_test(test_every_descriptor_is_visited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
