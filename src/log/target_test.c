/* The words of log_file and syslog_*: what they mean, and what is refused. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "log/target.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <string.h>
#include <syslog.h>

static void
refused(int r, const struct pf_error *error, const char *says)
{
    assert_int_equal(r, -EINVAL);
    assert_int_equal(error->exit_code, PREFORK_EXIT_CONFIG);
    if (!strstr(error->text, says))
        fail_msg("\"%s\" is not in: %s", says, error->text);
}

static void
log_file_is_a_path_or_a_word(void **state)
{
    static const struct {
        const char *text;
        enum pf_log_kind kind;
        bool named;
    } cases[] = {
        {NULL, PF_LOG_STDERR, false},          {"STDERR", PF_LOG_STDERR, true},
        {"/dev/stderr", PF_LOG_STDERR, true},  {"Sys::Syslog", PF_LOG_SYSLOG, false},
        {"syslog", PF_LOG_SYSLOG, false},      {"/var/log/x.log", PF_LOG_FILE, false},
        {"./syslog", PF_LOG_FILE, false},      {"stderr", PF_LOG_FILE, false},
        {"/var/log/a::b", PF_LOG_FILE, false}, {"log.a::b", PF_LOG_FILE, false},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        struct pf_log_target target;
        assert_int_equal(pf_log_target_parse(cases[i].text, &target, NULL), 0);
        assert_int_equal(target.kind, cases[i].kind);
        assert_int_equal(target.named, cases[i].named);
        assert_ptr_equal(target.path, cases[i].kind == PF_LOG_FILE ? cases[i].text : NULL);
    }
}

static void
other_classes_are_refused(void **state)
{
    static const char *const names[] = {"Log::Log4perl", "My::Own::Log_2", "Sys::syslog"};

    (void)state;
    for (size_t i = 0; i < PF_COUNT(names); i++) {
        struct pf_error error = {0};
        struct pf_log_target target = {.named = true};
        int r = pf_log_target_parse(names[i], &target, &error);
        refused(r, &error, names[i]);
        assert_non_null(strstr(error.text, "write_to_log_hook"));
        assert_true(target.named);
    }
}

static void
ways_are_tried_in_order(void **state)
{
    struct pf_syslog s = {.way_count = 0};

    (void)state;
    assert_int_equal(pf_syslog_parse_ways("Native", &s, NULL), 0);
    assert_int_equal(s.way_count, 1);
    assert_int_equal(s.ways[0], PF_SYSLOG_UNIX);
    assert_int_equal(pf_syslog_parse_ways("stream, inet|console", &s, NULL), 0);
    assert_int_equal(s.way_count, 4);
    assert_int_equal(s.ways[0], PF_SYSLOG_STREAM);
    assert_int_equal(s.ways[1], PF_SYSLOG_TCP);
    assert_int_equal(s.ways[2], PF_SYSLOG_UDP);
    assert_int_equal(s.ways[3], PF_SYSLOG_CONSOLE);
}

static void
bad_ways_are_refused(void **state)
{
    struct pf_syslog s = {.way_count = 7};
    struct pf_error errors[3] = {{0}, {0}, {0}};

    (void)state;
    refused(pf_syslog_parse_ways("udp,eventlog", &s, &errors[0]), &errors[0],
            "\"eventlog\" is not a way to a syslog daemon: native, unix, stream, udp");
    refused(pf_syslog_parse_ways(" ,|", &s, &errors[1]), &errors[1], "no way is named");
    refused(pf_syslog_parse_ways("udp udp udp udp udp udp udp inet", &s, &errors[2]),
            &errors[2], "more than 8 ways");
    assert_int_equal(s.way_count, 7);
}

static void
options_that_are_not_named_are_off(void **state)
{
    static const struct {
        const char *text;
        bool pid, cons, nofatal;
    } cases[] = {
        {"pid,nofatal", true, false, true}, {"cons", false, true, false},
        {"cons|pid", true, true, false},    {"ndelay nowait", false, false, false},
        {"NOFATAL", false, false, true},    {"", false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        struct pf_syslog s = {.pid = true, .cons = true, .nofatal = true};
        assert_int_equal(pf_syslog_parse_options(cases[i].text, &s, NULL), 0);
        assert_int_equal(s.pid, cases[i].pid);
        assert_int_equal(s.cons, cases[i].cons);
        assert_int_equal(s.nofatal, cases[i].nofatal);
    }
}

static void
unknown_options_are_refused(void **state)
{
    struct pf_syslog s = {.pid = true};
    struct pf_error error = {0};

    (void)state;
    refused(pf_syslog_parse_options("cons,perror", &s, &error), &error,
            "\"perror\" is not an option: pid, cons, ndelay, nowait, nofatal");
    assert_true(s.pid);
    assert_false(s.cons);
}

static void
facilities_have_their_numbers(void **state)
{
    static const struct {
        const char *text;
        int facility;
    } cases[] = {
        {"auth", 4 << 3},    {"authpriv", 10 << 3}, {"cron", 9 << 3},
        {"daemon", 3 << 3},  {"ftp", 11 << 3},      {"kern", 0},
        {"lpr", 6 << 3},     {"mail", 2 << 3},      {"news", 7 << 3},
        {"syslog", 5 << 3},  {"user", 1 << 3},      {"uucp", 8 << 3},
        {"local0", 16 << 3}, {"local1", 17 << 3},   {"local2", 18 << 3},
        {"local3", 19 << 3}, {"local4", 20 << 3},   {"local5", 21 << 3},
        {"local6", 22 << 3}, {"local7", 23 << 3},   {"security", 4 << 3},
        {"LOCAL0", 16 << 3}, {"LOG_MAIL", 2 << 3},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        struct pf_syslog s = {.facility = -1};
        assert_int_equal(pf_syslog_parse_facility(cases[i].text, &s, NULL), 0);
        assert_int_equal(s.facility, cases[i].facility);
    }
}

static void
one_facility_only(void **state)
{
    static const char *const texts[] = {"local8", "local0|local1", "log_", "3"};

    (void)state;
    for (size_t i = 0; i < PF_COUNT(texts); i++) {
        struct pf_syslog s = {.facility = -1};
        struct pf_error error = {0};
        refused(pf_syslog_parse_facility(texts[i], &s, &error), &error,
                "is not a facility");
        assert_int_equal(s.facility, -1);
    }
}

static void
an_ident_does_not_end_early(void **state)
{
    static const char *const bad[] = {
        "a b",         "a:",   "a[1]",
        "t\xc3\xa4st", "\x7f", "0123456789012345678901234567890123456789012345678"};
    struct pf_syslog s = {.ident = "old"};

    (void)state;
    assert_int_equal(pf_syslog_parse_ident("net_server-2/x", &s, NULL), 0);
    assert_string_equal(s.ident, "net_server-2/x");
    for (size_t i = 0; i < PF_COUNT(bad); i++) {
        struct pf_error error = {0};
        refused(pf_syslog_parse_ident(bad[i], &s, &error), &error, "printable ASCII");
    }
    assert_string_equal(s.ident, "net_server-2/x");
    assert_int_equal(pf_syslog_parse_ident(NULL, &s, NULL), 0);
    assert_null(s.ident);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_file_is_a_path_or_a_word),
        cmocka_unit_test(other_classes_are_refused),
        cmocka_unit_test(ways_are_tried_in_order),
        cmocka_unit_test(bad_ways_are_refused),
        cmocka_unit_test(options_that_are_not_named_are_off),
        cmocka_unit_test(unknown_options_are_refused),
        cmocka_unit_test(facilities_have_their_numbers),
        cmocka_unit_test(one_facility_only),
        cmocka_unit_test(an_ident_does_not_end_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
