/* A page of a file that is cut away, and every other SIGBUS. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "os/guard.h"
#include "os/share.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FINE = 3,
    HANDLED = 4,
};

static int
open_pages(unsigned count)
{
    int fd = memfd_create("guard-test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)(count * pf_share_page_bytes())), 0);
    return fd;
}

/* The page is guarded once in a process, so each case has one of its own. */
static int
status_of(int (*run)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(run());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void
assert_fine(int (*run)(void))
{
    int status = status_of(run);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), FINE);
}

static void
assert_killed(int (*run)(void))
{
    int status = status_of(run);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGBUS);
}

static volatile char *
guard(int fd, size_t index)
{
    (void)signal(SIGBUS, SIG_DFL); /* a sanitizer has its own */
    return pf_guard_page(fd, index);
}

static int
write_to_a_page(void)
{
    int fd = open_pages(2);
    volatile char *page = guard(fd, 1);
    char byte = 0;

    page[7] = 'x';
    return pread(fd, &byte, 1, (off_t)pf_share_page_bytes() + 7) == 1 && byte == 'x' ? FINE
                                                                                     : 1;
}

static int
write_to_a_page_that_was_cut(void)
{
    int fd = open_pages(2);
    volatile char *page = guard(fd, 1);

    page[7] = 'x';
    if (ftruncate(fd, 0) < 0)
        return 1;
    errno = ENOTTY;
    page[8] = 'y';
    if (errno != ENOTTY || page[7] != 0 || page[8] != 'y')
        return 1;
    page[pf_share_page_bytes() - 1] = 'z'; /* and it is the page's for good */
    return FINE;
}

static int
write_to_another_page_that_was_cut(void)
{
    int fd = open_pages(2);
    size_t bytes = pf_share_page_bytes();
    volatile char *page = guard(fd, 1);
    volatile char *other = mmap(NULL, bytes, PROT_WRITE, MAP_SHARED, fd, 0);

    page[0] = 'x';
    if (ftruncate(fd, 0) < 0)
        return 1;
    other[0] = 'y';
    return FINE;
}

static int
send_the_signal(void)
{
    (void)!guard(open_pages(1), 0);
    (void)raise(SIGBUS);
    return FINE;
}

static void
handle(int signum)
{
    (void)signum;
    _exit(HANDLED);
}

static int
raise_after_another_handler(void)
{
    (void)signal(SIGBUS, handle);
    (void)!pf_guard_page(open_pages(1), 0);
    (void)raise(SIGBUS);
    return FINE;
}

static void
what_is_written_is_in_the_file(void **state)
{
    (void)state;
    assert_fine(write_to_a_page);
}

static void
a_page_that_was_cut_away_is_private_from_then_on(void **state)
{
    (void)state;
    assert_fine(write_to_a_page_that_was_cut);
}

static void
every_other_sigbus_is_what_it_was(void **state)
{
    int status;

    (void)state;
    assert_killed(write_to_another_page_that_was_cut);
    assert_killed(send_the_signal);
    status = status_of(raise_after_another_handler);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == HANDLED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_in_the_file),
        cmocka_unit_test(a_page_that_was_cut_away_is_private_from_then_on),
        cmocka_unit_test(every_other_sigbus_is_what_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
