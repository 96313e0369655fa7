/* Users and groups; drops happen in children, and only root can watch most of them. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "os/credential.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SOMEBODY = 54321,
    SOME_GROUP = 54322,
};

static void
test_user(void **state)
{
    struct pf_credential_user user = {.uid = 1};

    (void)state;
    assert_int_equal(pf_credential_user("no-such-user", &user), -ENOENT);
    assert_int_equal(pf_credential_user("", &user), -ENOENT);
    assert_int_equal(pf_credential_user("-1", &user), -ENOENT);
    assert_int_equal(pf_credential_user("4294967295", &user), -ENOENT);
    assert_int_equal(user.uid, 1);
    assert_int_equal(pf_credential_user("root", &user), 0);
    assert_true(user.uid == 0 && user.gid == 0 && user.known);
    assert_int_equal(pf_credential_user("0", &user), 0);
    assert_true(user.known);
    assert_string_equal(user.name, "root");
    assert_int_equal(pf_credential_user("54321", &user), 0);
    assert_true(user.uid == SOMEBODY && !user.known);
}

static void
test_group(void **state)
{
    gid_t gid = 1;

    (void)state;
    assert_int_equal(pf_credential_group("no-such-group", &gid), -ENOENT);
    assert_int_equal(pf_credential_group("4294967295", &gid), -ENOENT);
    assert_int_equal(gid, 1);
    assert_int_equal(pf_credential_group("root", &gid), 0);
    assert_int_equal(gid, 0);
    assert_int_equal(pf_credential_group("54322", &gid), 0);
    assert_int_equal(gid, SOME_GROUP);
}

static void
test_groups_of(void **state)
{
    struct pf_credential_user user;
    gid_t groups[64];
    unsigned count = 0;

    (void)state;
    assert_int_equal(pf_credential_user("root", &user), 0);
    assert_int_equal(pf_credential_groups_of(&user, groups, 64, &count), 0);
    assert_true(count >= 1);
    count = 99;
    assert_int_equal(pf_credential_groups_of(&user, groups, 0, &count), -ERANGE);
    assert_int_equal(count, 99);
}

/* Run a child; its return value is its exit status. */
static void
in_child(int (*child)(void))
{
    int status = -1;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(child());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static const gid_t two_groups[] = {SOME_GROUP, SOME_GROUP + 1};

static int
drop_somebody(struct pf_error *error)
{
    return pf_credential_drop(SOMEBODY, SOME_GROUP, two_groups, 2, error);
}

static int
child_drops(void)
{
    gid_t groups[8];

    if (drop_somebody(NULL) != 0)
        return 1;
    if (getuid() != SOMEBODY || getegid() != SOME_GROUP || getgroups(8, groups) != 2)
        return 2;
    if (setuid(0) == 0 || setgid(0) == 0)
        return 3;
    return drop_somebody(NULL) == 0 ? 0 : 4; /* again: nothing to do */
}

static int
child_cannot_become_another(void)
{
    struct pf_error error = {0};

    if (drop_somebody(NULL) != 0)
        return 1;
    if (pf_credential_drop(SOMEBODY + 1, SOME_GROUP, two_groups, 2, &error) != -EPERM)
        return 2;
    if (error.exit_code != PREFORK_EXIT_SYSTEM || !strstr(error.text, "start as root"))
        return 3;
    /* The ids are right, but a group is kept that was not asked for. */
    return pf_credential_drop(SOMEBODY, SOME_GROUP, two_groups, 1, NULL) == -EPERM ? 0 : 4;
}

/* With this bit the kernel leaves root's capabilities to the new user. */
static int
child_notices_the_way_back(void)
{
    struct pf_error error = {0};

    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0)
        return 0; /* not allowed here */
    if (drop_somebody(&error) != -EPERM)
        return 1;
    return strstr(error.text, "could be taken back") ? 0 : 2;
}

static int
child_stays_root(void)
{
    if (pf_credential_drop(0, 0, two_groups, 2, NULL) != 0)
        return 1;
    return getuid() == 0 && getgroups(0, NULL) == 2 ? 0 : 2;
}

static void
test_drop(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    in_child(child_drops);
    in_child(child_cannot_become_another);
    in_child(child_notices_the_way_back);
    in_child(child_stays_root);
}

static void
test_drop_without_root(void **state)
{
    gid_t groups[1024];
    int count = getgroups(1024, groups);

    (void)state;
    if (geteuid() == 0)
        skip();
    assert_true(count >= 0);
    assert_int_equal(pf_credential_drop(getuid(), getgid(), groups, (unsigned)count, NULL),
                     0);
    assert_int_equal(pf_credential_drop(0, 0, NULL, 0, NULL), -EPERM);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_groups_of),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_drop_without_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
