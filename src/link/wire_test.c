/* The wire: what is known of it, and how its end is noticed. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "link/wire.h"

#include <fcntl.h>
#include <unistd.h>

static void
the_master_never_blocks_and_no_program_inherits_it(void **state)
{
    int master;
    int worker;

    (void)state;
    assert_int_equal(pf_wire_open(&master, &worker), 0);
    assert_true(fcntl(master, F_GETFL) & O_NONBLOCK);
    assert_false(fcntl(worker, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(master, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(worker, F_GETFD) & FD_CLOEXEC);
    (void)close(master);
    (void)close(worker);
}

static void
it_is_over_when_the_last_byte_was_read(void **state)
{
    char bytes[8];
    int master;
    int worker;

    (void)state;
    assert_int_equal(pf_wire_open(&master, &worker), 0);
    assert_int_equal(pf_wire_unread(master), 0);
    assert_false(pf_wire_is_over(master));
    assert_int_equal(write(worker, "abc", 3), 3);
    assert_int_equal(write(worker, "de", 2), 2);
    assert_int_equal(pf_wire_unread(master), 5);
    (void)close(worker);
    assert_false(pf_wire_is_over(master));
    assert_int_equal(read(master, bytes, 4), 4);
    assert_int_equal(pf_wire_unread(master), 1);
    assert_false(pf_wire_is_over(master));
    assert_int_equal(read(master, bytes, 4), 1);
    assert_true(pf_wire_is_over(master));
    (void)close(master);
}

static void
an_end_closed_with_words_unread_is_an_end(void **state)
{
    int master;
    int worker;

    (void)state;
    assert_int_equal(pf_wire_open(&master, &worker), 0);
    assert_int_equal(write(master, "never read", 10), 10);
    (void)close(worker);
    assert_true(pf_wire_is_over(master));
    (void)close(master);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_master_never_blocks_and_no_program_inherits_it),
        cmocka_unit_test(it_is_over_when_the_last_byte_was_read),
        cmocka_unit_test(an_end_closed_with_words_unread_is_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
