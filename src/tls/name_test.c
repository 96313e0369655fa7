/* Names of hosts: what is one, and which entry of a list means it. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "tls/internal.h"

#include <string.h>

static void
test_copy(void **state)
{
    static const struct {
        const char *said;
        const char *copy; /* NULL: no host name */
    } cases[] = {
        {"example.org", "example.org"},
        {"EXAMPLE.Org", "example.org"},
        {"a_b-c.1", "a_b-c.1"},
        {"", NULL},
        {"a b", NULL},
        {"a\nb", NULL},
        {"a/b", NULL},
        {"*.org", NULL},
        {"1234567890123456", NULL},
        {"123456789012345", "123456789012345"},
    };
    char buffer[16];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool is_name = pf_name_copy(cases[i].said, buffer, sizeof buffer);
        assert_int_equal(is_name, cases[i].copy != NULL);
        if (is_name)
            assert_string_equal(buffer, cases[i].copy);
    }
}

static void
test_match(void **state)
{
    static const struct {
        const char *names;
        const char *host;
        bool match;
    } cases[] = {
        {"a.test", "a.test", true},
        {"a.test", "b.test", false},
        {"a.test", "a.test.", false},
        {"a.test,b.test", "b.test", true},
        {"a.test,", "", false},
        {",b.test", "b.test", true},
        {"*.test", "a.test", true},
        {"*.test", "test", false},
        {"*.test", ".test", false},
        {"*.test", "a.b.test", false},
        {"*.b.test", "a.b.test", true},
        {"*", "a", false},
        {"x.test,*.b.test", "x.b.test", true},
        {"a.tes", "a.test", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(pf_names_match(cases[i].names, cases[i].host), cases[i].match);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_match),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
