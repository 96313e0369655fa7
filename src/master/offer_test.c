/* What is put into a store and taken back, by what a master before this one left there. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "master/master.h"
#include "master/offer.h"
#include "os/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CAPACITY = 4,
    HEARD_BYTES = 1024,
};

/* As much of a master as has a store, and who it speaks to. */
struct fixture {
    struct pf_master master;
    struct pf_slot slots[CAPACITY];
    struct pf_stored_worker workers[CAPACITY];
    struct pf_state from, now;
    int receiver;
    char heard[HEARD_BYTES]; /* "+NAME " and "-NAME " */
};

static int
open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct pf_store *s = &f->master.store;
    int ends[2];

    assert_non_null(f);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
    *s = PF_STORE_NONE;
    s->fd = ends[0];
    s->workers = f->workers;
    s->capacity = CAPACITY;
    f->receiver = ends[1];
    pf_pool_init(&f->master.pool, f->slots, CAPACITY, 1, 0);
    pf_state_init(&f->from);
    pf_state_init(&f->now);
    f->from.stored = 3;
    *state = f;
    return 0;
}

static int
close_fixture(void **state)
{
    struct fixture *f = *state;

    (void)close(f->master.store.fd);
    (void)close(f->receiver);
    free(f);
    return 0;
}

static void
note(struct fixture *f, const char *text)
{
    size_t used = strlen(f->heard);
    const char *name = strstr(text, "FDNAME=");

    assert_non_null(name);
    name += strlen("FDNAME=");
    (void)snprintf(f->heard + used, sizeof f->heard - used, "%c%.*s ",
                   strstr(text, "FDSTOREREMOVE=1") ? '-' : '+', (int)strcspn(name, "\n"),
                   name);
}

static const char *
hear(struct fixture *f)
{
    int fds[PF_NOTIFY_FDS_MAX];
    char text[HEARD_BYTES];
    unsigned count;

    f->heard[0] = '\0';
    while (pf_notify_receive(f->receiver, text, sizeof text, fds, &count) == 0) {
        note(f, text);
        for (unsigned i = 0; i < count; i++)
            (void)close(fds[i]);
    }
    return f->heard;
}

static void
add_file(struct pf_state *s, enum pf_file_role role)
{
    s->files[s->file_count++] =
        (struct pf_state_file){.fd = STDERR_FILENO, .role = role, .path = "/x"};
}

/* The descriptor may have the same number, and be of another file. */
static void
a_pid_file_of_another_path_was_put_beside_the_old_one(void **state)
{
    struct fixture *f = *state;

    f->from.fds[PF_STATE_FD_BOARD] = f->now.fds[PF_STATE_FD_BOARD] = STDIN_FILENO;
    f->from.fds[PF_STATE_FD_PID] = f->now.fds[PF_STATE_FD_PID] = STDERR_FILENO;
    f->from.fds[PF_STATE_FD_SCORE] = STDERR_FILENO;
    pf_offer_begin(&f->master.store, &f->from);
    assert_true(pf_offer_singles(&f->master, &f->now));
    assert_string_equal(hear(f),
                        "-prefork.pid +prefork.pid -prefork.score -prefork.pages ");
    assert_true(pf_offer_singles(&f->master, &f->now));
    assert_string_equal(hear(f), "");
}

/* Somebody may have left it, who could not say that it was there. */
static void
a_board_that_nobody_named_was_put_beside_the_old_one(void **state)
{
    struct fixture *f = *state;

    f->now.fds[PF_STATE_FD_BOARD] = STDIN_FILENO;
    pf_offer_begin(&f->master.store, NULL);
    assert_true(pf_offer_singles(&f->master, &f->now));
    assert_non_null(strstr(hear(f), "-prefork.board +prefork.board "));
}

static void
files_that_another_program_does_not_have_stayed(void **state)
{
    struct fixture *f = *state;

    f->master.store.is_keeper = true;
    add_file(&f->from, PF_FILE_EXECUTABLE);
    add_file(&f->from, PF_FILE_CONFIG);
    add_file(&f->from, PF_FILE_PROGRAM);
    add_file(&f->now, PF_FILE_EXECUTABLE);
    pf_offer_begin(&f->master.store, &f->from);
    assert_true(pf_offer_files(&f->master, &f->now));
    assert_string_equal(hear(f), "-prefork.program -prefork.conf.1 +prefork.exe ");
    assert_true(pf_offer_files(&f->master, &f->now));
    assert_string_equal(hear(f), "");
}

static void
a_service_manager_held_files_that_it_does_not_start(void **state)
{
    struct fixture *f = *state;

    add_file(&f->now, PF_FILE_EXECUTABLE);
    add_file(&f->now, PF_FILE_CONFIG);
    pf_offer_begin(&f->master.store, NULL);
    assert_true(pf_offer_files(&f->master, &f->now));
    assert_string_equal(hear(f), "");
}

/* It was dead, and no slot so high was ever used by this master. */
static void
what_a_worker_had_that_was_not_taken_over_stayed(void **state)
{
    struct fixture *f = *state;
    struct pf_state_worker dead = {.slot = 3, .birth = 9, .wire = -1, .departures = 0};

    f->from.workers = &dead;
    f->from.worker_count = f->from.worker_capacity = 1;
    pf_offer_begin(&f->master.store, &f->from);
    assert_true(pf_offer_remove_workers(&f->master, false));
    assert_string_equal(hear(f), "-prefork.w.9 -prefork.d.9 ");
    assert_true(pf_offer_remove_workers(&f->master, false));
    assert_string_equal(hear(f), "");
}

/* What was not taken is offered once more, and what was taken is not. */
static void
a_receiver_that_is_slow_gets_each_thing_once(void **state)
{
    struct fixture *f = *state;

    f->now.fds[PF_STATE_FD_PID] = STDIN_FILENO;
    pf_offer_begin(&f->master.store, &f->from);
    while (pf_notify_send(f->master.store.fd, "FDNAME=other\n") == 0)
        continue;
    f->master.deadline = PF_NEVER;
    assert_false(pf_offer_singles(&f->master, &f->now));
    assert_true(f->master.deadline != PF_NEVER);
    (void)hear(f);
    assert_true(pf_offer_singles(&f->master, &f->now));
    assert_string_equal(hear(f),
                        "-prefork.pid +prefork.pid -prefork.score -prefork.pages ");
}

int
main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)
    const struct CMUnitTest tests[] = {
        TEST(a_pid_file_of_another_path_was_put_beside_the_old_one),
        TEST(a_board_that_nobody_named_was_put_beside_the_old_one),
        TEST(files_that_another_program_does_not_have_stayed),
        TEST(a_service_manager_held_files_that_it_does_not_start),
        TEST(what_a_worker_had_that_was_not_taken_over_stayed),
        TEST(a_receiver_that_is_slow_gets_each_thing_once),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
