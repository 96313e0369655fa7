/* Which program is this, and what is left if executing it is refused. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "os/image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define VARIABLE "PREFORK_IMAGE_TEST"

static void
the_path_is_absolute_and_leads_here(void **state)
{
    const struct pf_image *image = pf_image_here();
    struct stat runs;
    struct stat there;

    (void)state;
    assert_int_equal(image->path[0], '/');
    assert_int_equal(stat("/proc/self/exe", &runs), 0);
    assert_int_equal(stat(image->path, &there), 0);
    assert_int_equal(there.st_ino, runs.st_ino);
    assert_ptr_equal(pf_image_here(), image);
}

static void
what_cannot_be_executed_changes_nothing(void **state)
{
    struct pf_image image = *pf_image_here();
    char before[PATH_MAX];
    char after[PATH_MAX];
    mode_t mask = umask(0123);

    (void)state;
    image.path = (char[]){"/nowhere/at/all"};
    assert_int_equal(chdir("/"), 0);
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(pf_image_exec(&image, -1, VARIABLE, 7), -ENOENT);
    assert_non_null(getcwd(after, sizeof after));
    assert_string_equal(before, after);
    assert_null(getenv(VARIABLE));
    assert_int_equal(umask(mask), 0123);
}

static void
what_is_not_known_is_not_executed(void **state)
{
    struct pf_image image = {.exe = -1, .directory = -1};

    (void)state;
    assert_int_equal(pf_image_exec(&image, -1, VARIABLE, 7), -ENOENT);
    assert_null(getenv(VARIABLE));
}

/* The exit status of the program, executed in a child. */
static int
status_of(const struct pf_image *image, int exe, int number)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0)
        _exit(pf_image_exec(image, exe, VARIABLE, number) < 0 ? 99 : 98);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
it_is_executed_by_its_path_and_by_its_descriptor(void **state)
{
    struct pf_image image = *pf_image_here();

    (void)state;
    assert_int_equal(status_of(&image, -1, 41), 41);
    image.path = (char[]){"/nowhere/at/all"};
    assert_int_equal(status_of(&image, image.exe, 42), 42);
    assert_int_equal(status_of(&image, -1, 43), 99);
}

static void
a_path_can_be_another_one(void **state)
{
    struct pf_image *image = pf_image_here();
    char before[PATH_MAX];

    (void)state;
    (void)strncpy(before, image->path, sizeof before - 1);
    before[sizeof before - 1] = '\0';
    assert_int_equal(pf_image_rename(image, "/some/where"), 0);
    assert_string_equal(pf_image_here()->path, "/some/where");
    assert_int_equal(pf_image_rename(image, before), 0);
}

/* The last one: it is for good. */
static void
a_child_lets_go_of_it(void **state)
{
    struct pf_image *image = pf_image_here();
    int exe = image->exe;

    (void)state;
    pf_image_leave(image);
    assert_int_equal(fcntl(exe, F_GETFD), -1);
    assert_int_equal(image->exe, -1);
    assert_int_equal(image->directory, -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_is_absolute_and_leads_here),
        cmocka_unit_test(what_cannot_be_executed_changes_nothing),
        cmocka_unit_test(what_is_not_known_is_not_executed),
        cmocka_unit_test(it_is_executed_by_its_path_and_by_its_descriptor),
        cmocka_unit_test(a_path_can_be_another_one),
        cmocka_unit_test(a_child_lets_go_of_it),
    };

    if (getenv(VARIABLE)) /* executed by one of them */
        return atoi(getenv(VARIABLE));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
