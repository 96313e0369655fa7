/* Names of capabilities, and giving them up, in children. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "os/capability.h"

#include <errno.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void
test_names(void **state)
{
    static const char *const wrong[] = {"",        "cap_",        "net_bind_service",
                                        "10",      "cap_chownx",  "cap_chown ",
                                        "cap_all", "cap_chown=e", "cap_10"};
    struct pf_error error = {0};
    uint64_t bit = 5;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (pf_capability_find(wrong[i], &bit, &error) != PF_CAPABILITY_E_NO_NAME ||
            bit != 5)
            fail_msg("\"%s\"", wrong[i]);
    }
    assert_int_equal(pf_capability_find("cap_chown", &bit, &error), 0);
    assert_int_equal(bit, (uint64_t)1 << CAP_CHOWN);
    assert_int_equal(pf_capability_find("CAP_Net_Bind_Service", &bit, &error), 0);
    assert_int_equal(bit, (uint64_t)1 << CAP_NET_BIND_SERVICE);
}

/* Run a child; it returns 0 if all is well. */
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

static int
child_gives_all_up(void)
{
    struct pf_capabilities now;

    if (pf_capability_limit(0) != 0 || pf_capability_read(&now) != 0)
        return 1;
    if (now.permitted != 0 || now.effective != 0 || now.inheritable != 0)
        return 2;
    if (pf_capability_limit((uint64_t)1 << CAP_CHOWN) != -EPERM)
        return 3; /* there is no way back */
    return pf_capability_has(0) && !pf_capability_has((uint64_t)1 << CAP_CHOWN) ? 0 : 4;
}

/* What is in the ambient set goes along with what may be inherited. */
static int
child_hands_nothing_on(void)
{
    const cap_value_t chown_value = CAP_CHOWN;
    cap_t set = cap_get_proc();

    if (cap_set_flag(set, CAP_INHERITABLE, 1, &chown_value, CAP_SET) < 0 ||
        cap_set_proc(set) < 0 || cap_set_ambient(CAP_CHOWN, CAP_SET) < 0)
        return 1;
    (void)cap_free(set);
    if (pf_capability_limit((uint64_t)1 << CAP_CHOWN) != 0)
        return 2;
    return pf_capability_has((uint64_t)1 << CAP_CHOWN) && cap_get_ambient(CAP_CHOWN) == 0
               ? 0
               : 3;
}

static void
test_limit(void **state)
{
    (void)state;
    in_child(child_gives_all_up);
    if (geteuid() == 0)
        in_child(child_hands_nothing_on);
}

static int
child_asks_to_keep(void)
{
    if (pf_capability_keep(true) != 0 || prctl(PR_GET_KEEPCAPS) != 1)
        return 1;
    return pf_capability_keep(false) == 0 && prctl(PR_GET_KEEPCAPS) == 0 ? 0 : 2;
}

static void
test_keep(void **state)
{
    (void)state;
    in_child(child_asks_to_keep);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_keep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
