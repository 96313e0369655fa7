/* Log lines as text: for people, for syslog, for the console. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "log/line.h"

#include <stdlib.h>
#include <syslog.h>
#include <time.h>

#define MARCH_1ST 1772366400 /* 2026-03-01 12:00:00 UTC */

static struct pf_line
make(const char *text)
{
    return (struct pf_line){
        .time = {.tv_sec = MARCH_1ST, .tv_nsec = 7999999},
        .name = "hello",
        .pid = 4711,
        .level = PREFORK_LOG_NOTICE,
        .text = text,
    };
}

static void
a_line_has_time_name_pid_and_level(void **state)
{
    struct pf_line line = make("ready");
    char buffer[128];
    struct pf_text t;

    (void)state;
    pf_text_init(&t, buffer, sizeof buffer);
    pf_line_add(&t, &line);
    assert_string_equal(buffer, "2026-03-01 12:00:00.007 hello[4711] notice: ready");
    line.lost = 3;
    line.level = PREFORK_LOG_ERROR;
    pf_text_init(&t, buffer, sizeof buffer);
    pf_line_add(&t, &line);
    assert_string_equal(buffer, "2026-03-01 12:00:00.007 hello[4711] error: "
                                "(3 lines lost) ready");
}

static void
levels_become_severities(void **state)
{
    static const struct {
        int level;
        int facility;
        const char *begins;
    } cases[] = {
        {PREFORK_LOG_ERROR, LOG_DAEMON, "<27>"},  {PREFORK_LOG_WARNING, LOG_DAEMON, "<28>"},
        {PREFORK_LOG_NOTICE, LOG_DAEMON, "<29>"}, {PREFORK_LOG_INFO, LOG_DAEMON, "<30>"},
        {PREFORK_LOG_DEBUG, LOG_DAEMON, "<31>"},  {PREFORK_LOG_ERROR, LOG_KERN, "<3>"},
        {PREFORK_LOG_DEBUG, LOG_LOCAL7, "<191>"}, {99, LOG_USER, "<15>"},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        struct pf_line line = make("x");
        char buffer[128];
        struct pf_text t;
        line.level = (enum prefork_log_level)cases[i].level;
        pf_text_init(&t, buffer, sizeof buffer);
        pf_line_add_syslog(&t, &line, cases[i].facility, NULL);
        assert_true(pf_text_begins(buffer, cases[i].begins));
    }
}

static void
syslog_lines_are_those_of_rfc_3164(void **state)
{
    struct pf_line line = make("ready");
    char buffer[128];
    struct pf_text t;

    (void)state;
    pf_text_init(&t, buffer, sizeof buffer);
    pf_line_add_syslog(&t, &line, LOG_DAEMON, NULL);
    assert_string_equal(buffer, "<29>Mar  1 12:00:00 hello[4711]: ready");
    line.pid = 0;
    line.time.tv_sec += (time_t)300 * 24 * 3600;
    pf_text_init(&t, buffer, sizeof buffer);
    pf_line_add_syslog(&t, &line, LOG_LOCAL0, "shelf");
    assert_string_equal(buffer, "<133>Dec 26 12:00:00 shelf hello: ready");
}

static void
the_console_needs_no_time(void **state)
{
    struct pf_line line = make("ready");
    char buffer[128];
    struct pf_text t;

    (void)state;
    line.lost = 1;
    pf_text_init(&t, buffer, sizeof buffer);
    pf_line_add_tagged(&t, &line);
    assert_string_equal(buffer, "hello[4711]: (1 lines lost) ready");
}

static void
only_control_characters_are_changed(void **state)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"plain % text", "plain % text"},
        {"two\nlines\r", "two\\x0Alines\\x0D"},
        {"tab\t, escape \x1b[1m, delete \x7f", "tab\\x09, escape \\x1B[1m, delete \\x7F"},
        {"Gr\xc3\xbc\xc3\x9f"
         "e \xe2\x82\xac",
         "Gr\xc3\xbc\xc3\x9f"
         "e \xe2\x82\xac"},
        {"\xff\x80", "\xff\x80"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        char buffer[128];
        struct pf_text t;
        pf_text_init(&t, buffer, sizeof buffer);
        pf_line_add_printable(&t, cases[i].text);
        assert_string_equal(buffer, cases[i].shown);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_name_pid_and_level),
        cmocka_unit_test(levels_become_severities),
        cmocka_unit_test(syslog_lines_are_those_of_rfc_3164),
        cmocka_unit_test(the_console_needs_no_time),
        cmocka_unit_test(only_control_characters_are_changed),
    };

    (void)setenv("TZ", "UTC0", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
