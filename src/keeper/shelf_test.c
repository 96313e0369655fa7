/* The shelf: one descriptor for each name, dropped when it hangs up, handed on in order. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "keeper/shelf.h"
#include "os/fd.h"
#include "os/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ROOM = 4,
    TAG = 100,
};

static struct pf_wait wait_object;
static struct pf_shelf shelf;

static int
set_up(void **state)
{
    (void)state;
    assert_int_equal(pf_wait_open(&wait_object), 0);
    assert_int_equal(pf_shelf_open(&shelf, ROOM, &wait_object, TAG), 0);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    pf_shelf_close(&shelf);
    pf_wait_close(&wait_object);
    return 0;
}

static int
new_file(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static ino_t
inode_of(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return st.st_ino;
}

static void
a_name_is_one_descriptor(void **state)
{
    int first = new_file();
    int second = new_file();
    ino_t inode = inode_of(second);

    (void)state;
    assert_int_equal(pf_shelf_put(&shelf, "a", first), 0);
    assert_int_equal(fcntl(first, F_GETFD), -1); /* it was consumed */
    assert_int_equal(pf_shelf_put(&shelf, "a", second), 0);
    assert_int_equal(shelf.count, 1);
    assert_int_equal(inode_of(pf_shelf_find(&shelf, "a")), inode);
    pf_shelf_remove(&shelf, "b");
    pf_shelf_remove(&shelf, "a");
    assert_int_equal(pf_shelf_find(&shelf, "a"), -1);
    assert_int_equal(shelf.count, 0);
}

static void
what_does_not_fit_is_refused_and_closed(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    char longer[PF_SHELF_NAME_BYTES + 1];
    int fd;

    (void)state;
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(pf_shelf_put(&shelf, "", new_file()), -EINVAL);
    assert_int_equal(pf_shelf_put(&shelf, "a:b", new_file()), -EINVAL);
    assert_int_equal(pf_shelf_put(&shelf, longer, new_file()), -ENAMETOOLONG);
    for (int i = 0; i < ROOM; i++)
        assert_int_equal(pf_shelf_put(&shelf, names[i], new_file()), 0);
    fd = new_file();
    assert_int_equal(pf_shelf_put(&shelf, "e", fd), -ENOSPC);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(pf_shelf_put(&shelf, "d", new_file()), 0);
    assert_int_equal(pf_shelf_put(&shelf, PF_SHELF_STATE "1", new_file()), 0);
    assert_int_equal(pf_shelf_put(&shelf, PF_SHELF_STATE "2", new_file()), 0);
    assert_int_equal(pf_shelf_put(&shelf, PF_SHELF_STATE "3", new_file()), -ENOSPC);
    pf_shelf_remove(&shelf, PF_SHELF_STATE "1");
    pf_shelf_remove(&shelf, PF_SHELF_STATE "2");
    pf_shelf_remove(&shelf, "b");
    assert_int_equal(pf_shelf_put(&shelf, "e", new_file()), 0);
}

static void
what_hangs_up_is_dropped(void **state)
{
    struct pf_wait_event event;
    int ends[2];

    (void)state;
    assert_int_equal(pf_shelf_put(&shelf, "file", new_file()), 0); /* which never does */
    assert_int_equal(pf_shelf_put(&shelf, "bell", pf_wake_open()), 0);
    assert_int_equal(pf_shelf_put(&shelf, "path", open("/", O_PATH | O_CLOEXEC)), 0);
    pf_shelf_remove(&shelf, "path");
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(pf_shelf_put(&shelf, "channel", ends[0]), 0);
    assert_int_equal(send(ends[1], "x", 1, 0), 1);
    assert_int_equal(pf_wait_sleep(&wait_object, 0, &event, 1), 0); /* words are no end */
    pf_shelf_look(&shelf, 2);
    assert_int_equal(shelf.count, 3);
    (void)close(ends[1]);
    assert_int_equal(pf_wait_sleep(&wait_object, 0, &event, 1), 1);
    assert_int_equal(event.tag, TAG + 2);
    pf_shelf_look(&shelf, 2);
    assert_int_equal(shelf.count, 2);
    assert_int_equal(pf_shelf_find(&shelf, "channel"), -1);
    pf_shelf_look(&shelf, 2); /* an event that is late */
    assert_int_equal(shelf.count, 2);
}

static void
names_stand_in_the_order_of_descriptors(void **state)
{
    char text[ROOM * PF_SHELF_NAME_BYTES];

    (void)state;
    assert_true(pf_shelf_names(&shelf, text, sizeof text));
    assert_string_equal(text, "");
    assert_int_equal(pf_shelf_put(&shelf, "one", new_file()), 0);
    assert_int_equal(pf_shelf_put(&shelf, "two", new_file()), 0);
    assert_int_equal(pf_shelf_put(&shelf, "three", new_file()), 0);
    pf_shelf_remove(&shelf, "two");
    assert_true(pf_shelf_names(&shelf, text, sizeof text));
    assert_string_equal(text, "one:three");
    assert_false(pf_shelf_names(&shelf, text, 9));
    assert_true(pf_shelf_names(&shelf, text, 10));
}

/* In a child, whose low descriptors are lost by it. */
static int
spread(ino_t one, ino_t two)
{
    if (pf_shelf_spread(&shelf) != 2)
        return 1;
    if (inode_of(PF_SHELF_FIRST) != one || inode_of(PF_SHELF_FIRST + 1) != two)
        return 2;
    if (fcntl(PF_SHELF_FIRST, F_GETFD) != 0 || fcntl(PF_SHELF_FIRST + 1, F_GETFD) != 0)
        return 3; /* close-on-exec */
    return fcntl(pf_shelf_find(&shelf, "one"), F_GETFD) == FD_CLOEXEC ? 0 : 4;
}

static void
descriptors_are_spread_from_three(void **state)
{
    int status;
    ino_t one;
    ino_t two;
    pid_t pid;

    (void)state;
    assert_int_equal(pf_shelf_put(&shelf, "one", new_file()), 0);
    assert_int_equal(pf_shelf_put(&shelf, "two", new_file()), 0);
    assert_true(pf_shelf_find(&shelf, "one") > PF_SHELF_FIRST + ROOM);
    one = inode_of(pf_shelf_find(&shelf, "one"));
    two = inode_of(pf_shelf_find(&shelf, "two"));
    pid = fork();
    if (pid == 0)
        _exit(spread(one, two));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* The list of names has to fit into one variable. */
static void
names_have_a_limit(void **state)
{
    char name[PF_SHELF_NAME_BYTES];
    struct pf_shelf many;
    char *text = malloc(PF_SHELF_NAMES_MAX);
    int r = 0;

    (void)state;
    pf_fd_limit_raise();
    assert_int_equal(pf_shelf_open(&many, PF_SHELF_NAMES_MAX, &wait_object, TAG), 0);
    many.lowest = PF_SHELF_FIRST; /* this test needs no numbers but low ones */
    for (int i = 0; r == 0 && i < 10000; i++) {
        (void)snprintf(name, sizeof name, "%047d", i);
        r = pf_shelf_put(&many, name, dup(STDERR_FILENO));
    }
    assert_true(r == -ENOSPC || r == -EBADF); /* the latter where few may be open at all */
    assert_true(pf_shelf_names(&many, text, PF_SHELF_NAMES_MAX));
    pf_shelf_close(&many);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_name_is_one_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused_and_closed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_hangs_up_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_stand_in_the_order_of_descriptors, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_have_a_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(descriptors_are_spread_from_three, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
