/* What a child closes: a real fork, and real descriptors. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "master/parting.h"
#include "os/fd.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pf_parting_room room;
static struct pf_parting parting;

static int
begin(void **state)
{
    (void)state;
    pf_fd_limit_raise();
    return pf_parting_open(&room);
}

static int
end(void **state)
{
    (void)state;
    pf_parting_close(&room);
    pf_fd_limit_restore();
    return 0;
}

static int
is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* In a child, which has no room of its own: are these closed, and is that one open? */
static void
check(const int *closed, unsigned count, int open)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        pf_parting_leave(&parting);
        for (unsigned i = 0; i < count; i++)
            status |= is_open(closed[i]);
        _exit(status || !is_open(open));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void
closes_what_was_added(void **state)
{
    int fds[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        fds[i] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 60);
    pf_parting_begin(&parting, &room);
    pf_parting_add(&parting, -1);
    for (unsigned i = 0; i < 3; i++)
        pf_parting_add(&parting, fds[i]);
    check(fds, 3, fds[3]);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(close(fds[i]), 0);
}

static void
finds_room_for_high_numbers(void **state)
{
    int fds[3];

    (void)state;
    if (pf_fd_limit() <= PF_PARTING_FEW + 8)
        skip();
    fds[0] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 60);
    fds[1] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, PF_PARTING_FEW);
    fds[2] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, PF_PARTING_FEW);
    for (unsigned round = 0; round < 2; round++) {
        pf_parting_begin(&parting, &room);
        pf_parting_add(&parting, fds[0]);
        pf_parting_add(&parting, fds[1]);
        assert_false(parting.lacks_room);
        check(fds, 2, fds[2]);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(close(fds[i]), 0);
}

/* Somebody raised the limit afterwards. */
static void
says_that_it_lacks_room(void **state)
{
    const struct pf_parting_room small = {room.words, PF_PARTING_FEW / 8};

    (void)state;
    pf_parting_begin(&parting, &small);
    pf_parting_add(&parting, PF_PARTING_FEW - 1);
    assert_false(parting.lacks_room);
    pf_parting_add(&parting, PF_PARTING_FEW);
    assert_true(parting.lacks_room);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closes_what_was_added),
        cmocka_unit_test(finds_room_for_high_numbers),
        cmocka_unit_test(says_that_it_lacks_room),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
