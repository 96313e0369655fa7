/* Classes of a histogram: exact below 256, narrow above, and quantiles as counted by hand.
 */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "histogram.h"

#include <stdlib.h>

static struct histogram *
empty(void)
{
    struct histogram *h = calloc(1, sizeof *h);

    assert_non_null(h);
    return h;
}

/* The one value of a histogram, as it tells it. */
static unsigned long
told(unsigned long value)
{
    struct histogram *h = empty();
    unsigned long result;

    histogram_add(h, value);
    assert_int_equal(atomic_load(&h->greatest), value);
    result = histogram_quantile(h, 500);
    free(h);
    return result;
}

static void
small_values_are_exact(void **state)
{
    (void)state;
    for (unsigned long value = 0; value < 512; value++)
        assert_int_equal(told(value), value < HISTOGRAM_FINE ? value : value & ~1UL);
}

static void
classes_are_narrow(void **state)
{
    (void)state;
    for (unsigned long value = 1; value < 1UL << 32; value += value / 3 + 1) {
        unsigned long least = told(value);
        assert_true(least <= value);
        assert_true((value - least) * 100 < value);
    }
}

static void
edges_of_doublings(void **state)
{
    (void)state;
    for (unsigned bit = 8; bit < 32; bit++) {
        assert_int_equal(told(1UL << bit), 1UL << bit);
        assert_int_equal(told((1UL << bit) - 1), (1UL << bit) - (1UL << (bit - 8)));
    }
}

static void
what_is_too_long_is_counted(void **state)
{
    (void)state;
    assert_int_equal(told(1UL << 40), 255UL << 24);
}

static void
quantiles_of_a_thousand(void **state)
{
    struct histogram *h = empty();

    (void)state;
    for (unsigned long i = 0; i < 1000; i++)
        histogram_add(h, i < 500 ? 10 : i < 990 ? 100 : i < 999 ? 200 : 250);
    assert_int_equal(histogram_count(h), 1000);
    assert_int_equal(histogram_quantile(h, 500), 10);
    assert_int_equal(histogram_quantile(h, 501), 100);
    assert_int_equal(histogram_quantile(h, 990), 100);
    assert_int_equal(histogram_quantile(h, 999), 200);
    assert_int_equal(histogram_quantile(h, 1000), 250);
    free(h);
}

static void
nothing_has_no_quantile(void **state)
{
    struct histogram *h = empty();

    (void)state;
    assert_int_equal(histogram_quantile(h, 999), 0);
    free(h);
}

static void
merged_is_as_if_counted_together(void **state)
{
    struct histogram *one = empty();
    struct histogram *other = empty();

    (void)state;
    histogram_add(one, 7);
    histogram_add(other, 5);
    histogram_add(other, 1000);
    histogram_merge(one, other);
    assert_int_equal(histogram_count(one), 3);
    assert_int_equal(histogram_quantile(one, 333), 5);
    assert_int_equal(histogram_quantile(one, 500), 7);
    assert_int_equal(atomic_load(&one->greatest), 1000);
    free(one);
    free(other);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(classes_are_narrow),
        cmocka_unit_test(edges_of_doublings),
        cmocka_unit_test(what_is_too_long_is_counted),
        cmocka_unit_test(quantiles_of_a_thousand),
        cmocka_unit_test(nothing_has_no_quantile),
        cmocka_unit_test(merged_is_as_if_counted_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
