/* Shared memory that is handed on by its descriptor. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "os/share.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    BYTES = 64,
    FEW = 3,
    MANY = 300,
};

static void
test_an_object_is_the_same_for_both(void **state)
{
    struct pf_share_object first;
    struct pf_share_object second;

    (void)state;
    assert_int_equal(pf_share_object_open(&first, BYTES), 0);
    assert_int_equal(pf_share_object_adopt(&second, dup(first.fd), BYTES), 0);
    memcpy(first.memory, "here", 5);
    assert_string_equal(second.memory, "here");
    pf_share_object_close(&first);
    assert_string_equal(second.memory, "here");
    pf_share_object_close(&second);
}

static void
test_something_else_is_no_object(void **state)
{
    struct pf_share_object share;
    struct pf_share_pages pages;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pf_share_object_adopt(&share, ends[0], BYTES), -EBADF);
    pf_share_object_close(&share);
    assert_int_equal(pf_share_pages_adopt(&pages, ends[1], FEW), -EBADF);
    pf_share_pages_close(&pages);
    assert_int_equal(pf_share_pages_adopt(&pages, memfd_create("x", 0), FEW), -EBADF);
    pf_share_pages_close(&pages);
}

static void
test_pages_that_are_handed_on_may_become_more(void **state)
{
    struct pf_share_pages first;
    struct pf_share_pages second;

    (void)state;
    assert_int_equal(pf_share_pages_open(&first, FEW), 0);
    assert_int_equal(pf_share_page_clear(&first, FEW - 1), 0);
    memcpy(pf_share_page(&first, FEW - 1), "mine", 5);
    assert_int_equal(pf_share_pages_adopt(&second, dup(first.fd), MANY), 0);
    assert_string_equal(pf_share_page(&second, FEW - 1), "mine");
    assert_int_equal(pf_share_page_clear(&second, MANY - 1), 0);
    assert_string_equal(pf_share_page(&second, MANY - 1), "");
    pf_share_pages_close(&first);
    pf_share_pages_close(&second);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_object_is_the_same_for_both),
        cmocka_unit_test(test_something_else_is_no_object),
        cmocka_unit_test(test_pages_that_are_handed_on_may_become_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
