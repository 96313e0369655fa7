/* What programs say by sd_notify(3): who said it, and whether it was READY=1. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "os/notice.h"
#include "os/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int ours;
static int theirs;

/* The sender's end is that of our own sd_notify(3). */
static int
set_up(void **state)
{
    char name[PF_NOTICE_NAME_BYTES];
    pf_time watchdog;

    (void)state;
    ours = pf_notice_open();
    assert_true(ours >= 0);
    assert_int_equal(pf_notice_name(ours, name), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    theirs = pf_notify_open(&watchdog);
    assert_true(theirs >= 0);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    (void)close(ours);
    (void)close(theirs);
    return 0;
}

static void
lines_are_read(void **state)
{
#define CASE(text, ready)                                                                  \
    {                                                                                      \
        text, sizeof text - 1, ready                                                       \
    }
    static const struct {
        const char *bytes;
        size_t length;
        bool ready;
    } cases[] = {
        CASE("", false),
        CASE("\n", false),
        CASE("READY=1", true),
        CASE("READY=1\n", true),
        CASE("READY=1\0", true),
        CASE("\n\nREADY=1\n\n", true),
        CASE("STATUS=serving\nREADY=1\nMAINPID=17", true),
        CASE("READY=10", false),
        CASE("READY=", false),
        CASE("READY=0\n", false),
        CASE(" READY=1", false),
        CASE("READY=1 ", false),
        CASE("ready=1", false),
        CASE("STATUS=READY=1\n", false),
        CASE("STATUS=x\0READY=1\n", false),
        CASE("RELOADING=1\nWATCHDOG=1\nSTOPPING=1\nFDSTORE=1\n", false),
    };
#undef CASE

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++)
        assert_int_equal(pf_notice_says_ready(cases[i].bytes, cases[i].length),
                         cases[i].ready);
}

static void
who_speaks_is_known(void **state)
{
    struct pf_notice notice;
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(pf_notify_send(theirs, "STATUS=x\nREADY=1") == 0 ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(pf_notify_send(theirs, "STATUS=x"), 0);
    assert_int_equal(pf_notice_receive(ours, &notice), 0);
    assert_int_equal(notice.pid, child);
    assert_int_equal(notice.group, -1); /* it was reaped */
    assert_true(notice.ready);
    assert_int_equal(pf_notice_receive(ours, &notice), 0);
    assert_int_equal(notice.pid, getpid());
    assert_int_equal(notice.group, getpgrp());
    assert_false(notice.ready);
    assert_int_equal(pf_notice_receive(ours, &notice), -EAGAIN);
}

/* The number that the next descriptor will have. */
static int
next_fd(void)
{
    int fd = dup(ours);

    (void)close(fd);
    return fd;
}

static void
descriptors_are_closed_unseen(void **state)
{
    struct pf_notice notice;
    char byte;
    int ends[2];
    int before;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    before = next_fd();
    assert_int_equal(pf_notify_send_fds(theirs, "BARRIER=1", &ends[1], 1), 0);
    (void)close(ends[1]);
    assert_int_equal(pf_notice_receive(ours, &notice), 0);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* nobody has the other end */
    assert_true(next_fd() <= before);
    (void)close(ends[0]);
}

static void
too_much_is_dropped(void **state)
{
    static char text[8192] = "READY=1\nX=";
    struct pf_notice notice;

    (void)state;
    memset(text + strlen(text), 'x', sizeof text - strlen(text) - 1);
    assert_int_equal(pf_notify_send(theirs, text), 0);
    assert_int_equal(pf_notify_send(theirs, "READY=1"), 0);
    assert_int_equal(pf_notice_receive(ours, &notice), -EBADMSG);
    assert_int_equal(pf_notice_receive(ours, &notice), 0);
    assert_true(notice.ready);
}

static void
no_two_have_one_name(void **state)
{
    char name[PF_NOTICE_NAME_BYTES];
    char other[PF_NOTICE_NAME_BYTES];
    int fd = pf_notice_open();

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(pf_notice_name(ours, name), 0);
    assert_int_equal(pf_notice_name(fd, other), 0);
    assert_string_not_equal(name, other);
    assert_int_equal(pf_notice_name(theirs, other), -EAFNOSUPPORT);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    (void)close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read),
        cmocka_unit_test_setup_teardown(who_speaks_is_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(descriptors_are_closed_unseen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_much_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_two_have_one_name, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
