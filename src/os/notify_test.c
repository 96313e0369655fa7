/* Messages of sd_notify(3), with descriptors and without. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "os/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TEXT_BYTES = 512,
};

static int ours;
static int theirs;

static int
set_up(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ours = ends[0];
    theirs = ends[1];
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

static ino_t
inode_of(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return st.st_ino;
}

static void
what_is_stored_arrives_with_its_name(void **state)
{
    int files[2] = {memfd_create("one", MFD_CLOEXEC), memfd_create("two", MFD_CLOEXEC)};
    int fds[PF_NOTIFY_FDS_MAX];
    char text[TEXT_BYTES];
    unsigned count;

    (void)state;
    assert_int_equal(pf_notify_store(ours, "prefork.l.0", files, 2), 0);
    assert_int_equal(pf_notify_receive(theirs, text, sizeof text, fds, &count), 0);
    assert_string_equal(text, "FDSTORE=1\nFDNAME=prefork.l.0\n");
    assert_int_equal(count, 2);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(inode_of(fds[i]), inode_of(files[i]));
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        (void)close(fds[i]);
        (void)close(files[i]);
    }
}

static void
what_is_removed_is_named(void **state)
{
    int fds[PF_NOTIFY_FDS_MAX];
    char text[TEXT_BYTES];
    unsigned count = 1;

    (void)state;
    assert_int_equal(pf_notify_unstore(ours, "prefork.w.17"), 0);
    assert_int_equal(pf_notify_receive(theirs, text, sizeof text, fds, &count), 0);
    assert_string_equal(text, "FDSTOREREMOVE=1\nFDNAME=prefork.w.17\n");
    assert_int_equal(count, 0);
}

static void
nothing_waits(void **state)
{
    int fds[PF_NOTIFY_FDS_MAX];
    char text[TEXT_BYTES];
    unsigned count;
    int r;

    (void)state;
    assert_int_equal(pf_notify_receive(theirs, text, sizeof text, fds, &count), -EAGAIN);
    do
        r = pf_notify_unstore(ours, "x"); /* nobody reads */
    while (r == 0);
    assert_int_equal(r, -EAGAIN);
}

static void
an_end_is_told(void **state)
{
    int fds[PF_NOTIFY_FDS_MAX];
    char text[TEXT_BYTES];
    unsigned count;

    (void)state;
    assert_int_equal(pf_notify_send(ours, "STOPPING=1\n"), 0);
    (void)shutdown(ours, SHUT_WR);
    assert_int_equal(pf_notify_receive(theirs, text, sizeof text, fds, &count), 0);
    assert_string_equal(text, "STOPPING=1\n");
    assert_int_equal(pf_notify_receive(theirs, text, sizeof text, fds, &count), -EPIPE);
}

static void
more_than_fit_are_refused(void **state)
{
    int fds[PF_NOTIFY_FDS_MAX + 1] = {0};

    (void)state;
    assert_int_equal(pf_notify_store(ours, "x", fds, PF_NOTIFY_FDS_MAX + 1), -EINVAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_stored_arrives_with_its_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_removed_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_fit_are_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
