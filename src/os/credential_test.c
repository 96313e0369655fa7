/* Users and groups; drops happen in children, and only root can watch most of them. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "os/capability.h"
#include "os/credential.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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
drop_to(uid_t uid, gid_t gid, unsigned group_count, uint64_t keep, struct pf_error *error)
{
    const struct pf_credential_target target = {uid, gid, two_groups, group_count, keep};

    return pf_credential_drop(&target, error);
}

static int
drop_somebody(struct pf_error *error)
{
    return drop_to(SOMEBODY, SOME_GROUP, 2, 0, error);
}

static bool
has_exactly(uint64_t mask)
{
    struct pf_capabilities now;

    return pf_capability_read(&now) == 0 && now.permitted == mask &&
           now.effective == mask && now.inheritable == 0;
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
    if (drop_to(SOMEBODY + 1, SOME_GROUP, 2, 0, &error) != -EPERM)
        return 2;
    if (error.exit_code != PREFORK_EXIT_SYSTEM || !strstr(error.text, "start as root"))
        return 3;
    /* The ids are right, but a group is kept that was not asked for. */
    return drop_to(SOMEBODY, SOME_GROUP, 1, 0, NULL) == -EPERM ? 0 : 4;
}

/* With this bit the kernel leaves root's capabilities to the new user: they are given up
 * all the same. */
static int
child_drops_in_spite_of_securebits(void)
{
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0)
        return 0; /* not allowed here */
    if (drop_somebody(NULL) != 0)
        return 1;
    return has_exactly(0) && setuid(0) != 0 ? 0 : 2;
}

static int
child_keeps_one(void)
{
    const uint64_t keep = (uint64_t)1 << CAP_NET_BIND_SERVICE;

    if (drop_to(SOMEBODY, SOME_GROUP, 2, keep, NULL) != 0)
        return 1;
    if (!has_exactly(keep) || prctl(PR_GET_KEEPCAPS) != 0 || setuid(0) == 0)
        return 2;
    if (drop_somebody(NULL) != 0) /* and now without it */
        return 3;
    return has_exactly(0) ? 0 : 4;
}

/* What a process does not have it cannot keep, and it says so before it is too late. */
static int
child_cannot_keep_what_it_lacks(void)
{
    const struct pf_credential_target target = {SOMEBODY, SOME_GROUP, two_groups, 2,
                                                (uint64_t)1 << CAP_SYS_ADMIN};
    struct pf_error error = {0};

    if (drop_somebody(NULL) != 0)
        return 1;
    if (pf_credential_check(&target, &error) != -EPERM)
        return 2;
    if (!strstr(error.text, "keep_capabilities names some that this process does not have"))
        return 3;
    return pf_credential_drop(&target, NULL) == -EPERM ? 0 : 4;
}

/* Not root, but with the two capabilities that matter. */
static int
child_drops_by_capabilities(void)
{
    const uint64_t two = (uint64_t)1 << CAP_SETUID | (uint64_t)1 << CAP_SETGID;
    const struct pf_credential_target next = {SOMEBODY + 1, SOME_GROUP + 1, two_groups, 1,
                                              0};

    if (drop_to(SOMEBODY, SOME_GROUP, 2, two, NULL) != 0)
        return 1;
    if (pf_credential_check(&next, NULL) != 0 || pf_credential_drop(&next, NULL) != 0)
        return 2;
    return getuid() == SOMEBODY + 1 && has_exactly(0) && setuid(0) != 0 ? 0 : 3;
}

/* From now on the kernel answers this system call with success and does nothing. */
static bool
fake(unsigned call)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof code / sizeof code[0], code};

    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int
drop_with_fake(unsigned call, const char *says)
{
    struct pf_error error = {0};

    if (!fake(call))
        return 0; /* not allowed here */
    if (drop_somebody(&error) != -EPERM)
        return 1;
    return strstr(error.text, says) ? 0 : 2;
}

static int
child_notices_a_false_setresuid(void)
{
    return drop_with_fake(SYS_setresuid, "kept other ids");
}

static int
child_notices_a_false_setresgid(void)
{
    return drop_with_fake(SYS_setresgid, "kept other ids");
}

static int
child_notices_a_false_setgroups(void)
{
    gid_t other = SOME_GROUP + 7;

    return setgroups(1, &other) < 0 ? 3
                                    : drop_with_fake(SYS_setgroups, "kept other groups");
}

static int
child_notices_a_false_capset(void)
{
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0)
        return 0; /* not allowed here */
    return drop_with_fake(SYS_capset, "kept other capabilities");
}

static int
child_stays_root(void)
{
    if (drop_to(0, 0, 2, 0, NULL) != 0)
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
    in_child(child_drops_in_spite_of_securebits);
    in_child(child_stays_root);
}

static void
test_capabilities(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    in_child(child_keeps_one);
    in_child(child_cannot_keep_what_it_lacks);
    in_child(child_drops_by_capabilities);
}

static void
test_a_kernel_that_lies(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    in_child(child_notices_a_false_setresuid);
    in_child(child_notices_a_false_setresgid);
    in_child(child_notices_a_false_setgroups);
    in_child(child_notices_a_false_capset);
}

static void
test_drop_without_root(void **state)
{
    gid_t groups[1024];
    int count = getgroups(1024, groups);
    const struct pf_credential_target same = {getuid(), getgid(), groups, (unsigned)count,
                                              0};
    const struct pf_credential_target root = {0, 0, NULL, 0, 0};

    (void)state;
    if (geteuid() == 0)
        skip();
    assert_true(count >= 0);
    assert_int_equal(pf_credential_check(&same, NULL), 0);
    assert_int_equal(pf_credential_drop(&same, NULL), 0);
    assert_int_equal(pf_credential_check(&root, NULL), -EPERM);
    assert_int_equal(pf_credential_drop(&root, NULL), -EPERM);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_groups_of),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_capabilities),
        cmocka_unit_test(test_a_kernel_that_lies),
        cmocka_unit_test(test_drop_without_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
