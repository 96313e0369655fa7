/* Descriptors: closed once, flags one at a time, the limit given back. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

static void
closing_twice_is_closing_once(void **state)
{
    int fd = pf_fd_open_null();
    int number = fd;

    (void)state;
    assert_true(fd >= 0);
    pf_fd_close(&fd);
    assert_int_equal(fd, -1);
    assert_int_equal(fcntl(number, F_GETFD), -1);
    pf_fd_close(&fd);
}

static void
nonblock_is_set_and_cleared_alone(void **state)
{
    int fd = open("/dev/null", O_RDWR | O_APPEND);

    (void)state;
    assert_int_equal(pf_fd_set_nonblock(fd, true), 0);
    assert_int_equal(fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK), O_APPEND | O_NONBLOCK);
    assert_int_equal(pf_fd_set_nonblock(fd, false), 0);
    assert_int_equal(fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK), O_APPEND);
    pf_fd_close(&fd);
    assert_int_equal(pf_fd_set_nonblock(fd, true), -EBADF);
}

static void
the_limit_is_raised_and_given_back(void **state)
{
    struct rlimit start;
    struct rlimit now;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &start), 0);
    start.rlim_cur = start.rlim_max / 2;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &start), 0);
    pf_fd_limit_raise();
    pf_fd_limit_raise(); /* the second one keeps what the first one found */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_int_equal(now.rlim_cur, now.rlim_max);
    pf_fd_limit_restore();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_int_equal(now.rlim_cur, start.rlim_cur);
    assert_int_equal(now.rlim_max, start.rlim_max);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(closing_twice_is_closing_once),
        cmocka_unit_test(nonblock_is_set_and_cleared_alone),
        cmocka_unit_test(the_limit_is_raised_and_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
