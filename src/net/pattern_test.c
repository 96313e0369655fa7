/* Patterns: what matches, what is refused, what takes too long, what needs a name. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "net/pattern.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

static enum pf_match
match(const char *pattern, const char *text)
{
    struct pf_patterns set = {0};
    struct pf_error error = {0};
    const char *which = NULL;
    enum pf_match m;

    if (pf_patterns_add(&set, pattern, &error) != 0)
        fail_msg("%s", error.text);
    m = pf_patterns_match(&set, text, &which);
    assert_true((m == PF_MATCH_NO) == (which == NULL));
    pf_patterns_deinit(&set);
    return m;
}

static void
matches_the_whole_text(void **state)
{
    static const struct {
        const char *pattern, *text;
        enum pf_match expected;
    } cases[] = {
        {"127\\.0\\.0\\.1", "127.0.0.1", PF_MATCH_YES},
        {"127\\.0", "127.0.0.1", PF_MATCH_NO},
        {"0\\.1", "127.0.0.1", PF_MATCH_NO},
        {"127\\..*", "127.0.0.1", PF_MATCH_YES},
        {"^127\\..*$", "127.0.0.1", PF_MATCH_YES},
        {"a|b", "ax", PF_MATCH_NO},
        {"a|b", "xb", PF_MATCH_NO},
        {"a|b", "b", PF_MATCH_YES},
        {"a|ab", "ab", PF_MATCH_YES},
        {"\\d+\\.\\d+\\.\\d+\\.\\d+", "192.0.2.1", PF_MATCH_YES},
        {".*\\.example\\.com", "www.EXAMPLE.com", PF_MATCH_YES},
        {"(?!www\\.).*\\.example\\.com", "www.example.com", PF_MATCH_NO},
        {"(a)(b)(c)(d)", "abcd", PF_MATCH_YES},
        {"127.0.0.1", "127.0.0.1\n", PF_MATCH_NO},
        {"127.0.0.1$", "127.0.0.1\n", PF_MATCH_NO},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        if (match(cases[i].pattern, cases[i].text) != cases[i].expected)
            fail_msg("%s on %s", cases[i].pattern, cases[i].text);
    }
}

static void
gives_up_in_time(void **state)
{
    (void)state;
    assert_int_equal(
        match("(\\w+\\.?)+", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"),
        PF_MATCH_UNDECIDED);
}

/* In a child, because there is no way back: the system refuses to make machine code (as
 * under systemd's MemoryDenyWriteExecute=), which is no error. */
static void
works_without_machine_code(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) < 0)
            _exit(77);
        matches_the_whole_text(NULL);
        gives_up_in_time(NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* before Linux 6.3 */
    assert_int_equal(status, 0);
}

static void
tells_which_and_stops_at_the_first(void **state)
{
    static const char *const patterns[] = {"a", "b.*", "bb"};
    struct pf_patterns set = {0};
    struct pf_error error = {0};
    const char *which = NULL;

    (void)state;
    for (size_t i = 0; i < PF_COUNT(patterns); i++)
        assert_int_equal(pf_patterns_add(&set, patterns[i], &error), 0);
    assert_int_equal(pf_patterns_match(&set, "bb", &which), PF_MATCH_YES);
    assert_string_equal(which, "b.*");
    assert_int_equal(pf_patterns_match(&set, "c", &which), PF_MATCH_NO);
    pf_patterns_deinit(&set);
}

static void
says_what_is_wrong_and_where(void **state)
{
    static const struct {
        const char *pattern, *sentence;
    } cases[] = {
        {"(foo", "missing closing parenthesis, behind character 4"},
        {"*.example.com", "quantifier does not follow a repeatable item"},
        {"ab[", "missing terminating ] for character class, behind character 3"},
        {"x(?<", "such as 127\\.0\\.0\\.1"},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        struct pf_patterns set = {0};
        struct pf_error error = {0};
        assert_int_equal(pf_patterns_add(&set, cases[i].pattern, &error), -EINVAL);
        if (!strstr(error.text, cases[i].sentence))
            fail_msg("%s", error.text);
        assert_int_equal(set.count, 0);
        pf_patterns_deinit(&set);
    }
}

/* Where it says yes, no address matches; the second half are those it must not judge. */
static void
knows_what_needs_a_name(void **state)
{
    static const struct {
        const char *pattern;
        bool needs;
    } cases[] = {
        {"localhost", true},
        {".*\\.example\\.com", true},
        {"host-\\d+\\.test", true},
        {"WWW.*", true},
        {"127\\.0\\.0\\.1", false},
        {"fe80:.*", false},
        {"x*127\\..*", false},
        {"x?127\\..*", false},
        {"x{0,1}127\\..*", false},
        {"127\\..*|.*\\.com", false},
        {"(x|1)27.*", false},
        {"[xyz1]27.*", false},
        {"127\\.\\x30\\.0\\.1", false},
        {"\\Q127.0.0.1\\E", false},
        {"\\pL127", false},
        {"(?#local)127\\.0\\.0\\.1", false},
        {"127\\", false},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        if (pf_pattern_needs_name(cases[i].pattern) != cases[i].needs)
            fail_msg("%s", cases[i].pattern);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(works_without_machine_code), /* before others make some */
        cmocka_unit_test(matches_the_whole_text),
        cmocka_unit_test(gives_up_in_time),
        cmocka_unit_test(tells_which_and_stops_at_the_first),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(knows_what_needs_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
