/* Names of signals: what is understood, and what is refused with which sentence. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "config/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define BIT(signum) ((uint64_t)1 << ((signum)-1))

static const struct {
    const char *text;
    uint64_t set;
} understood[] = {
    {"USR1", BIT(SIGUSR1)},
    {"SIGUSR1", BIT(SIGUSR1)},
    {"sigusr1", BIT(SIGUSR1)},
    {"10", BIT(SIGUSR1)},
    {"64", BIT(64)},
    {"USR1,USR2", BIT(SIGUSR1) | BIT(SIGUSR2)},
    {" HUP , TTIN\tTTOU ", BIT(SIGHUP) | BIT(SIGTTIN) | BIT(SIGTTOU)},
    {"USR1 USR1", BIT(SIGUSR1)},
};

static const struct {
    const char *text;
    const char *sentence;
} refused[] = {
    {"", "no signal is named"},
    {" , ", "no signal is named"},
    {"USR3", "there is no signal \"USR3\""},
    {"USR1 0", "there is no signal \"0\""},
    {"65", "there is no signal \"65\""},
    {"32", "there is no signal \"32\""},
    {"-1", "there is no signal \"-1\""},
    {"10x", "there is no signal \"10x\""},
    {"SIG", "there is no signal \"SIG\""},
    {"USR1;USR2", "there is no signal \"USR1;USR2\""},
    {"SIGWITHANAMETHATISALLTOOLONGTOBEONE", "no signal has a name as long as"},
    {"TERM", "SIGTERM cannot be passed on"},
    {"USR1,KILL", "SIGKILL cannot be passed on"},
    {"17", "SIGCHLD cannot be passed on"},
    {"SEGV", "SIGSEGV cannot be passed on"},
};

static void
names_are_understood(void **state)
{
    struct pf_error error = {0};

    (void)state;
    for (size_t i = 0; i < PF_COUNT(understood); i++) {
        uint64_t set = BIT(SIGWINCH); /* of an earlier entry */
        assert_int_equal(pf_signals_parse(understood[i].text, &set, &error), 0);
        assert_true(set == (understood[i].set | BIT(SIGWINCH)));
    }
}

static void
nonsense_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(refused); i++) {
        struct pf_error error = {0};
        uint64_t set = 0;
        assert_int_equal(pf_signals_parse(refused[i].text, &set, &error), -EINVAL);
        assert_true(set == 0);
        if (strncmp(error.text, refused[i].sentence, strlen(refused[i].sentence)) != 0)
            fail_msg("\"%s\": %s", refused[i].text, error.text);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_understood),
        cmocka_unit_test(nonsense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
