/* Lines about connections: the grammar, and what a name in them cannot do. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "log/visit.h"

#include <string.h>

static void
words_cannot_be_split(void **state)
{
    static const struct {
        const char *text;
        const char *shown;
    } cases[] = {
        {"", "-"},
        {"-", "\\x2D"},
        {"--", "--"},
        {"192.0.2.1:49152", "192.0.2.1:49152"},
        {"[2001:db8::1]:80", "[2001:db8::1]:80"},
        {"/run/a b", "/run/a\\x20b"},
        {"a\tb\nc\rd", "a\\x09b\\x0Ac\\x0Dd"},
        {"\\x20", "\\x5Cx20"},
        {"\"quoted\"", "\"quoted\""},
        {"\x7f\x1b[2J", "\\x7F\\x1B[2J"},
        {"\xc2\xa0\xe2\x80\xa8", "\\xC2\\xA0\\xE2\\x80\\xA8"},
        {"%s%n", "%s%n"},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        char buffer[64];
        struct pf_text t;
        pf_text_init(&t, buffer, sizeof buffer);
        pf_visit_add_word(&t, cases[i].text);
        assert_string_equal(buffer, cases[i].shown);
    }
}

static void
expect(const struct pf_visit *visit, const char *line)
{
    char buffer[256];
    struct pf_text t;

    pf_text_init(&t, buffer, sizeof buffer);
    pf_visit_add(&t, visit);
    assert_false(t.cut);
    assert_string_equal(buffer, line);
}

static void
a_line_has_eight_words(void **state)
{
    struct pf_visit v = {
        .time = {.tv_sec = 1772366400, .tv_nsec = 123999999},
        .pid = 4711,
        .proto = "tcp",
        .peer = "192.0.2.1:49152",
        .local = "192.0.2.9:8080",
        .duration = 1234,
    };

    (void)state;
    expect(&v, "2026-03-01T12:00:00.123Z 4711 tcp 192.0.2.1:49152 192.0.2.9:8080 0.001234 "
               "served -");
    v.outcome = PF_OUTCOME_DENIED;
    v.duration = 90 * PF_SECOND + 5;
    expect(&v, "2026-03-01T12:00:00.123Z 4711 tcp 192.0.2.1:49152 192.0.2.9:8080 90.000005 "
               "denied -");
    v.outcome = PF_OUTCOME_FAILED;
    v.proto = "unix";
    v.peer = v.local = "";
    v.duration = 0;
    expect(&v, "2026-03-01T12:00:00.123Z 4711 unix - - 0.000000 failed -");
}

static void
a_programs_end_is_told(void **state)
{
    struct pf_visit v = {.pid = 1, .proto = "tcp", .peer = "a", .local = "b"};

    (void)state;
    v.has_status = true;
    expect(&v, "1970-01-01T00:00:00.000Z 1 tcp a b 0.000000 served exit:0");
    v.wait_status = 3 << 8;
    expect(&v, "1970-01-01T00:00:00.000Z 1 tcp a b 0.000000 served exit:3");
    v.wait_status = 9;
    expect(&v, "1970-01-01T00:00:00.000Z 1 tcp a b 0.000000 served signal:9");
    v.wait_status = 11 | 0x80; /* and it dumped core */
    expect(&v, "1970-01-01T00:00:00.000Z 1 tcp a b 0.000000 served signal:11");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_cannot_be_split),
        cmocka_unit_test(a_line_has_eight_words),
        cmocka_unit_test(a_programs_end_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
