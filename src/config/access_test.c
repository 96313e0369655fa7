/* From settings to access rules: what they come to, what is told, what is refused. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "config/freeze.h"
#include "config/parse.h"
#include "config/setting.h"
#include "net/access.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct pf_config config;
static struct pf_error error;
static char notes[2000];

static void
note(void *context, const char *text)
{
    (void)context;
    (void)snprintf(notes + strlen(notes), sizeof notes - strlen(notes), "%s\n", text);
}

/* Freeze the access rules of a config file; the result of the call. */
static int
freeze(const char *text, enum pf_handler handler)
{
    struct pf_settings *s = pf_settings_new();
    int r;

    notes[0] = '\0';
    error = (struct pf_error){0};
    config = (struct pf_config){.recipe = {.handler = handler}};
    if (pf_parse_config(s, "x.conf", text, strlen(text), &error) < 0)
        fail_msg("%s", error.text);
    r = pf_freeze_access(&(struct pf_freeze){
        .settings = s,
        .config = &config,
        .note = note,
        .error = &error,
    });
    pf_settings_free(s);
    return r;
}

static const struct pf_access *
access_of(const char *text)
{
    if (freeze(text, PF_HANDLER_CALLBACK) != 0)
        fail_msg("%s", error.text);
    assert_ptr_equal(config.access, config.recipe.access);
    return config.access;
}

static void
asks_nobody_without_rules(void **state)
{
    (void)state;
    assert_null(access_of(""));
    assert_null(access_of("reverse_lookups off\naccess_default allow\n"));
    assert_string_equal(notes, "");
}

static void
collects_the_lists(void **state)
{
    const struct pf_access *a =
        access_of("allow 10\\..*\nallow a, b c\ndeny x\n"
                  "cidr_allow 10.0.0.0/8,192.0.2.1  ::1\ncidr_allow 192.0.2.9\n"
                  "cidr_deny 10.1.0.0/16 10.1.2.0/24\nlookup_timeout 7\n");

    (void)state;
    assert_int_equal(a->allow.count, 2); /* a pattern is the whole value */
    assert_int_equal(a->deny.count, 1);
    assert_int_equal(a->cidr_allow.count, 4);
    assert_int_equal(a->cidr_deny.count, 1); /* one inside the other */
    assert_true(a->lookup_timeout == 7 * PF_SECOND);
    assert_false(a->names);
    pf_config_close(&config);
    pf_config_close(&config); /* twice is fine */
}

static void
knows_what_happens_to_the_rest(void **state)
{
    static const struct {
        const char *text;
        bool allow_rest;
        const char *note;
    } cases[] = {
        {"deny 10\\..*\n", true, "whoever no rule names is allowed (access_default auto)"},
        {"cidr_deny 10.0.0.0/8\n", true, "names is allowed"},
        {"allow 10\\..*\n", false, "whoever no rule names is denied (access_default auto)"},
        {"deny 10.1\n cidr_allow 10.0.0.0/8\n", false, "names is denied"},
        {"deny 10.1\n access_default deny\n", false,
         "names is denied (access_default deny)"},
        {"access_default deny\n", false, "names is denied (access_default deny)"},
        {"allow 10.1\n access_default allow\n", true,
         "allow and cidr_allow have no effect"},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        assert_int_equal(access_of(cases[i].text)->allow_rest, cases[i].allow_rest);
        if (!strstr(notes, cases[i].note))
            fail_msg("%s: %s", cases[i].text, notes);
        pf_config_close(&config);
    }
}

static void
reads_the_words_of_lookups(void **state)
{
    static const struct {
        const char *text;
        bool names, confirmed_only, autofail, success, detail;
    } cases[] = {
        {"reverse_lookups 1\n", true, false, false, false, false},
        {"reverse_lookups yes\n", true, false, false, false, false},
        {"reverse_lookups double\n", true, true, false, false, false},
        {"reverse_lookups 2\n", true, true, false, false, false},
        {"reverse_lookups Double-detail\n", true, true, false, false, true},
        {"reverse_lookups doubleautofail\n", true, true, true, false, false},
        {"reverse_lookups 2 debug,detail\n", true, true, false, true, true},
        {"double_reverse_lookups 1\n", true, true, false, false, false},
        {"double_reverse_lookups on\n", true, true, false, false, false},
        {"double_reverse_lookups detail\n", true, true, false, false, true},
        {"double_reverse_lookups autofail debug\n", true, true, true, true, false},
        {"double_reverse_lookups debug\nreverse_lookups 0\n", true, true, false, true,
         false},
        {"double_reverse_lookups off\nreverse_lookups double\n", true, true, false, false,
         false},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        const struct pf_access *a = access_of(cases[i].text);
        if (a->names != cases[i].names || a->confirmed_only != cases[i].confirmed_only ||
            a->autofail != cases[i].autofail || a->tell_success != cases[i].success ||
            a->tell_detail != cases[i].detail)
            fail_msg("%s", cases[i].text);
        pf_config_close(&config);
    }
}

static void
tells_of_names_that_nobody_looks_up(void **state)
{
    (void)state;
    (void)access_of("allow .*\\.test\n");
    assert_non_null(strstr(notes, "allow: .*\\.test (x.conf:1) can match no address"));
    pf_config_close(&config);
    (void)access_of("allow .*\\.test\nreverse_lookups 1\n");
    assert_null(strstr(notes, "can match no address"));
    pf_config_close(&config);
    (void)access_of("deny 127\\..*\n");
    assert_null(strstr(notes, "can match no address"));
    pf_config_close(&config);
}

static void
refuses_what_is_wrong(void **state)
{
    static const struct {
        const char *text;
        enum pf_handler handler;
        const char *sentence;
    } cases[] = {
        {"\nallow (x\n", PF_HANDLER_CALLBACK, "x.conf:2: allow: \"(x\" is not a regular"},
        {"deny x\ndeny [\n", PF_HANDLER_NOWAIT, "x.conf:2: deny: \"[\" is not"},
        {"cidr_allow 10.0.0.0/8 10/8\n", PF_HANDLER_CALLBACK,
         "x.conf:1: cidr_allow: \"10/8\" is no block of addresses; expected is"},
        {"cidr_deny 10.0.0.1/8\n", PF_HANDLER_CALLBACK, "x.conf:1: cidr_deny: "},
        {"cidr_deny = ,\n", PF_HANDLER_CALLBACK, "no block of addresses is named"},
        {"reverse_lookups maybe\n", PF_HANDLER_CALLBACK,
         "x.conf:1: reverse_lookups: \"maybe\" is none of"},
        {"reverse_lookups double-detale\n", PF_HANDLER_CALLBACK, "detail, autofail, debug"},
        {"double_reverse_lookups maybe\n", PF_HANDLER_CALLBACK,
         "x.conf:1: double_reverse_lookups: \"maybe\" is none of"},
        {"cidr_allow 10.0.0.0/8\n", PF_HANDLER_WAIT,
         "x.conf:1: cidr_allow: cannot be kept"},
        {"deny x\n", PF_HANDLER_MAIN_LOOP,
         "deny: cannot be kept: the program has a main_loop"},
        {"reverse_lookups double\n", PF_HANDLER_WAIT, "reverse_lookups: cannot be kept"},
        {"access_default deny\n", PF_HANDLER_WAIT, "access_default: cannot be kept"},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        int r = freeze(cases[i].text, cases[i].handler);
        if (r != -EINVAL || !strstr(error.text, cases[i].sentence))
            fail_msg("%s: %d %s", cases[i].text, r, error.text);
        assert_int_equal(error.exit_code, PREFORK_EXIT_CONFIG);
        assert_null(config.access);
    }
    assert_int_equal(freeze("reverse_lookups 1\naccess_default allow\n", PF_HANDLER_WAIT),
                     0);
    pf_config_close(&config);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_nobody_without_rules),
        cmocka_unit_test(collects_the_lists),
        cmocka_unit_test(knows_what_happens_to_the_rest),
        cmocka_unit_test(reads_the_words_of_lookups),
        cmocka_unit_test(tells_of_names_that_nobody_looks_up),
        cmocka_unit_test(refuses_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
