/* Bounded text, and numbers read strictly. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void
text_is_cut_and_terminated(void **state)
{
    char buffer[9] = "########";
    struct pf_text t;

    (void)state;
    pf_text_init(&t, buffer, 8);
    pf_text_add(&t, "%s-%d", "ab", 12);
    assert_string_equal(buffer, "ab-12");
    assert_int_equal(t.length, 5);
    assert_false(t.cut);
    pf_text_add(&t, "34");
    assert_false(t.cut);
    pf_text_add(&t, "5");
    assert_true(t.cut);
    pf_text_add(&t, "%s", "much more");
    assert_string_equal(buffer, "ab-1234");
    assert_int_equal(t.length, 7);
    assert_int_equal(buffer[8], '\0');
}

static void
one_byte_holds_nothing(void **state)
{
    char byte = '#';
    struct pf_text t;

    (void)state;
    pf_text_init(&t, &byte, 1);
    pf_text_add(&t, "x");
    assert_int_equal(byte, '\0');
    assert_true(t.cut);
}

static const struct {
    const char *text;
    int r;
    uint64_t number;
} numbers[] = {
    {"0", 0, 0},
    {"007", 0, 7},
    {"50", 0, 50},
    {"18446744073709551615", 0, UINT64_MAX},
    {"18446744073709551616", -ERANGE, 0},
    {"", -EINVAL, 0},
    {"-1", -EINVAL, 0},
    {"+1", -EINVAL, 0},
    {" 1", -EINVAL, 0},
    {"1 ", -EINVAL, 0},
    {"10x", -EINVAL, 0},
    {"0x10", -EINVAL, 0},
    {"1.5", -EINVAL, 0},
};

static void
numbers_are_strict(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(numbers); i++) {
        uint64_t n = 0;
        if (pf_text_number(numbers[i].text, &n) != numbers[i].r || n != numbers[i].number)
            fail_msg("\"%s\"", numbers[i].text);
    }
}

static const struct {
    const char *text;
    int r;
    unsigned mode;
} modes[] = {
    {"0", 0, 0},           {"660", 0, 0660},  {"0660", 0, 0660}, {"7777", 0, 07777},
    {"10000", -ERANGE, 0}, {"8", -EINVAL, 0}, {"", -EINVAL, 0},  {"-1", -EINVAL, 0},
};

static void
modes_are_octal(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(modes); i++) {
        unsigned mode = 0;
        if (pf_text_mode(modes[i].text, &mode) != modes[i].r || mode != modes[i].mode)
            fail_msg("\"%s\"", modes[i].text);
    }
}

static const struct {
    const char *text;
    int r;
    pf_time span;
} spans[] = {
    {"10", 0, 10 * PF_SECOND},
    {"0.25", 0, PF_SECOND / 4},
    {"1.000001", 0, PF_SECOND + 1},
    {"1.0000019", 0, PF_SECOND + 1},
    {"0.1", 0, PF_SECOND / 10},
    {"31536000", 0, 31536000 * PF_SECOND},
    {"1.", -EINVAL, 0},
    {".5", -EINVAL, 0},
    {"1.5.5", -EINVAL, 0},
    {"1,5", -EINVAL, 0},
    {"1s", -EINVAL, 0},
    {"-1", -EINVAL, 0},
    {"", -EINVAL, 0},
    {"99999999999999", -ERANGE, 0},
    {"999999999999999999999999999999", -ERANGE, 0},
};

static void
seconds_have_fractions(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(spans); i++) {
        pf_time span = 0;
        if (pf_text_seconds(spans[i].text, &span) != spans[i].r || span != spans[i].span)
            fail_msg("\"%s\": %lld", spans[i].text, (long long)span);
    }
}

static void
flags_have_many_names(void **state)
{
    static const char *const yes[] = {"1", "yes", "on", "true", "YES", "On"};
    static const char *const no[] = {"0", "no", "off", "false", "No", "FALSE"};
    static const char *const neither[] = {"", "2", "y", "yess", "maybe", " on"};

    (void)state;
    for (size_t i = 0; i < PF_COUNT(yes); i++) {
        bool flag = false;
        assert_int_equal(pf_text_flag(yes[i], &flag), 0);
        assert_true(flag);
        assert_int_equal(pf_text_flag(no[i], &flag), 0);
        assert_false(flag);
        assert_int_equal(pf_text_flag(neither[i], &flag), -EINVAL);
    }
}

static const struct {
    const char *a;
    const char *b;
    unsigned distance;
} distances[] = {
    {"", "", 0},        {"port", "port", 0},  {"prot", "port", 2},
    {"por", "port", 1}, {"ports", "port", 1}, {"", "port", 4},
    {"port", "", 4},    {"host", "port", 2},  {"max_server", "max_servers", 1},
};

static void
distances_count_edits(void **state)
{
    char far[65];

    (void)state;
    for (size_t i = 0; i < PF_COUNT(distances); i++)
        assert_int_equal(pf_text_distance(distances[i].a, distances[i].b),
                         distances[i].distance);
    memset(far, 'x', 64);
    far[64] = '\0';
    assert_true(pf_text_distance("x", far) == UINT_MAX);
}

static void
beginnings_and_copies(void **state)
{
    char *copy = pf_text_copy("abc");

    (void)state;
    assert_string_equal(copy, "abc");
    free(copy);
    assert_true(pf_text_begins("TCPREMOTEHOST=x", "TCPREMOTEHOST="));
    assert_true(pf_text_begins("x", ""));
    assert_false(pf_text_begins("x", "xy"));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_cut_and_terminated),
        cmocka_unit_test(one_byte_holds_nothing),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(modes_are_octal),
        cmocka_unit_test(seconds_have_fractions),
        cmocka_unit_test(flags_have_many_names),
        cmocka_unit_test(distances_count_edits),
        cmocka_unit_test(beginnings_and_copies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
