/* Libraries that are loaded: one that is there, one that is not, one that lacks something.
 */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "os/part.h"

#include <errno.h>
#include <string.h>
#include <sys/capability.h>

#define LIBRARY "libcap.so.2"

static int (*from_name)(const char *name, cap_value_t *ret_value);
static int (*absent)(void);

static void
functions_are_found(void **state)
{
    const struct pf_part_symbol symbols[] = {{"cap_from_name", &from_name}};
    struct pf_error error = {0};
    cap_value_t value = -1;

    (void)state;
    assert_int_equal(pf_part_load(LIBRARY, symbols, 1, &error), 0);
    assert_int_equal(from_name("cap_chown", &value), 0);
    assert_int_equal(value, CAP_CHOWN);
}

static void
a_library_that_is_missing_is_named(void **state)
{
    const struct pf_part_symbol symbols[] = {{"cap_from_name", &absent}};
    struct pf_error error = {0};

    (void)state;
    assert_int_equal(pf_part_load("libnone.so.9", symbols, 1, &error), -ELIBACC);
    assert_non_null(strstr(error.text, "libnone.so.9"));
    assert_null(absent);
}

static void
a_function_that_is_missing_leaves_all_untouched(void **state)
{
    const struct pf_part_symbol symbols[] = {
        {"cap_from_name", &absent},
        {"cap_of_nobody", &absent},
    };
    struct pf_error error = {0};

    (void)state;
    assert_int_equal(pf_part_load(LIBRARY, symbols, 2, &error), -ELIBACC);
    assert_non_null(strstr(error.text, "cap_of_nobody"));
    assert_null(absent);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_found),
        cmocka_unit_test(a_library_that_is_missing_is_named),
        cmocka_unit_test(a_function_that_is_missing_leaves_all_untouched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
