/* The table of settings: keys, types, bounds, ranks, origins and guesses. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "config/foreign.h"
#include "config/setting.h"
#include "core/policy.h"
#include "worker/recipe.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct pf_origin program = {.kind = PF_ORIGIN_PROGRAM};
static const struct pf_origin call = {.kind = PF_ORIGIN_CALL};
static const struct pf_origin argument = {.kind = PF_ORIGIN_ARGUMENT};
static const struct pf_origin file = {.kind = PF_ORIGIN_FILE, .file = "x.conf", .line = 4};
static const struct pf_origin other = {.kind = PF_ORIGIN_FILE, .file = "y.conf", .line = 1};

static struct pf_settings *
make(void)
{
    struct pf_settings *s = pf_settings_new();

    assert_non_null(s);
    return s;
}

static void
set(struct pf_settings *s, const char *key, const char *value,
    const struct pf_origin *origin)
{
    struct pf_error error = {0};
    int r = pf_settings_set(s, key, value, origin, &error);

    if (r < 0)
        print_error("%s\n", error.text);
    assert_int_equal(r, 0);
}

struct bad {
    const char *name;
    const char *key, *value;
    const struct pf_origin *origin;
    int code;
    int exit_code;
    const char *says;
};

static const struct bad bads[] = {
    {"text for a number", "min_servers", "5x", &file, -EINVAL, PREFORK_EXIT_CONFIG,
     "x.conf:4: min_servers: \"5x\" is not a whole number; 0 to 100000 is allowed"},
    {"a fraction for a number", "min_servers", "5.5", &file, -EINVAL, PREFORK_EXIT_CONFIG,
     "not a whole number"},
    {"negative", "min-servers", "-1", &argument, -EINVAL, PREFORK_EXIT_CONFIG,
     "--min-servers: \"-1\" is not a whole number"},
    {"too small", "max_servers", "0", &call, -ERANGE, PREFORK_EXIT_CONFIG,
     "prefork_set: max_servers: \"0\" is out of range; 1 to 100000 is allowed"},
    {"too large", "max_servers", "100001", &call, -ERANGE, PREFORK_EXIT_CONFIG, "range"},
    {"larger than any number", "max_servers", "99999999999999999999999", &call, -ERANGE,
     PREFORK_EXIT_CONFIG, "range"},
    {"percent", "max_requests_jitter", "91", &call, -ERANGE, PREFORK_EXIT_CONFIG,
     "0 to 90 is allowed"},
    {"seconds with unit", "kill_timeout", "3s", &file, -EINVAL, PREFORK_EXIT_CONFIG,
     "number of seconds such as 10 or 0.5; 0 to 31536000 is allowed"},
    {"too few seconds", "check_for_spawn", "0", &file, -ERANGE, PREFORK_EXIT_CONFIG,
     "0.1 to 31536000 is allowed"},
    {"flag", "background", "maybe", &file, -EINVAL, PREFORK_EXIT_CONFIG,
     "is neither 1, yes, on, true nor 0, no, off, false"},
    {"choice", "sizing", "dinamic", &file, -EINVAL, PREFORK_EXIT_CONFIG,
     "is not one of dynamic, static, ondemand"},
    {"part of a choice", "sizing", "dyn", &file, -EINVAL, PREFORK_EXIT_CONFIG,
     "not one of"},
    {"two choices", "sizing", "dynamic static", &file, -EINVAL, PREFORK_EXIT_CONFIG, ""},
    {"mode", "socket_mode", "0999", &file, -EINVAL, PREFORK_EXIT_CONFIG, "octal mode"},
    {"mode too large", "socket_mode", "10000", &file, -ERANGE, PREFORK_EXIT_CONFIG,
     "is out of range; an octal number from 0000 to 7777 is allowed"},
    {"mode over its row", "umask", "1000", &file, -ERANGE, PREFORK_EXIT_CONFIG,
     "0000 to 0777 is allowed"},
    {"empty", "user", "", &argument, -EINVAL, PREFORK_EXIT_CONFIG,
     "--user: \"\" is empty; a value is needed"},
    {"empty flag", "background", "", &call, -EINVAL, PREFORK_EXIT_CONFIG, "is empty"},
    {"newline", "user", "a\nb", &call, -EINVAL, PREFORK_EXIT_CONFIG,
     "prefork_set: user: \"a?b\" has a control character in it"},
    {"blank at the end", "user", "bob ", &call, -EINVAL, PREFORK_EXIT_CONFIG, "blank"},
    {"blank at the start", "min_servers", " 5", &call, -EINVAL, PREFORK_EXIT_CONFIG,
     "blank"},
    {"unknown key", "min_server", "5", &file, -ENOENT, PREFORK_EXIT_CONFIG,
     "x.conf:4: min_server: unknown setting; did you mean min_servers?"},
    {"unknown option", "min-server", "5", &argument, -ENOENT, PREFORK_EXIT_USAGE,
     "--min-server: unknown option; did you mean --min-servers?"},
    {"nothing near", "zzzzzz", "5", &call, -ENOENT, PREFORK_EXIT_CONFIG,
     "prefork_set: zzzzzz: unknown setting"},
    {"too short for a guess", "a", "5", &call, -ENOENT, PREFORK_EXIT_CONFIG,
     "prefork_set: a: unknown setting"},
    {"no key", "", "5", &call, -ENOENT, PREFORK_EXIT_CONFIG, "unknown setting"},
    {"only the start of a key", "max", "5", &call, -ENOENT, PREFORK_EXIT_CONFIG, "unknown"},
};

static void
test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(bads); i++) {
        const struct bad *b = &bads[i];
        struct pf_settings *s = make();
        struct pf_error error = {0};
        int r = pf_settings_set(s, b->key, b->value, b->origin, &error);

        if (r != b->code || error.exit_code != b->exit_code || !strstr(error.text, b->says))
            fail_msg("%s: %d, exit %d, \"%s\"", b->name, r, error.exit_code, error.text);
        pf_settings_free(s);
    }
}

static void
test_refused_changes_nothing(void **state)
{
    struct pf_settings *s = make();

    (void)state;
    set(s, "max_servers", "7", &file);
    assert_int_equal(pf_settings_set(s, "max_servers", "0", &argument, NULL), -ERANGE);
    assert_int_equal(pf_settings_number(s, PF_SETTING_MAX_SERVERS), 7);
    assert_int_equal(pf_settings_origin(s, PF_SETTING_MAX_SERVERS)->kind, PF_ORIGIN_FILE);
    pf_settings_free(s);
}

static void
test_long_unknown_key_is_cut(void **state)
{
    struct pf_settings *s = make();
    struct pf_error error = {0};
    char key[5000];

    (void)state;
    memset(key, 'k', sizeof key);
    key[sizeof key - 1] = '\0';
    assert_int_equal(pf_settings_set(s, key, "1", &argument, &error), -ENOENT);
    assert_true(strlen(error.text) < 200);
    pf_settings_free(s);
}

static void
test_defaults(void **state)
{
    struct pf_settings *s = make();

    (void)state;
    assert_int_equal(pf_settings_number(s, PF_SETTING_MIN_SERVERS), 5);
    assert_true(pf_settings_span(s, PF_SETTING_CHECK_FOR_WAITING) == 10 * PF_SECOND);
    assert_true(pf_settings_flag(s, PF_SETTING_NO_CLIENT_STDOUT));
    assert_false(pf_settings_flag(s, PF_SETTING_BACKGROUND));
    assert_int_equal(pf_settings_choice(s, PF_SETTING_SIZING), PF_SIZING_DYNAMIC);
    assert_string_equal(pf_settings_text(s, PF_SETTING_PORT), "20203");
    assert_null(pf_settings_text(s, PF_SETTING_USER));
    assert_int_equal(pf_settings_item_count(s, PF_SETTING_USER), 0);
    for (unsigned i = 0; i < PF_SETTING_COUNT_OF; i++)
        assert_false(pf_settings_is_set(s, (enum pf_setting_id)i));
    pf_settings_free(s);
    pf_settings_free(NULL);
}

static void
test_values(void **state)
{
    struct pf_settings *s = make();

    (void)state;
    set(s, "kill-timeout", "0.25", &argument);
    assert_true(pf_settings_span(s, PF_SETTING_KILL_TIMEOUT) == PF_SECOND / 4);
    set(s, "socket_mode", "0660", &file);
    assert_int_equal(pf_settings_number(s, PF_SETTING_SOCKET_MODE), 0660);
    set(s, "max_requests", "4000000000", &file);
    assert_int_equal(pf_settings_number(s, PF_SETTING_MAX_REQUESTS), 4000000000u);
    set(s, "no_client_stdout", "Off", &file);
    assert_false(pf_settings_flag(s, PF_SETTING_NO_CLIENT_STDOUT));
    set(s, "group", "a, b\tc", &file);
    assert_string_equal(pf_settings_text(s, PF_SETTING_GROUP), "a, b\tc");
    pf_settings_free(s);
}

/* The words in the table and the enums that consume them are in the same order. */
static void
test_choices_are_the_enums(void **state)
{
    static const struct {
        const char *key, *word;
        enum pf_setting_id id;
        unsigned choice;
    } choices[] = {
        {"sizing", "dynamic", PF_SETTING_SIZING, PF_SIZING_DYNAMIC},
        {"sizing", "static", PF_SETTING_SIZING, PF_SIZING_STATIC},
        {"sizing", "ondemand", PF_SETTING_SIZING, PF_SIZING_ONDEMAND},
        {"accept_order", "hot", PF_SETTING_ACCEPT_ORDER, PF_ACCEPT_HOT},
        {"accept_order", "fair", PF_SETTING_ACCEPT_ORDER, PF_ACCEPT_FAIR},
        {"handler", "auto", PF_SETTING_HANDLER, PF_CHOICE_HANDLER_AUTO},
        {"handler", "so", PF_SETTING_HANDLER, PF_CHOICE_HANDLER_SO},
        {"handler", "nowait", PF_SETTING_HANDLER, PF_CHOICE_HANDLER_NOWAIT},
        {"handler", "wait", PF_SETTING_HANDLER, PF_CHOICE_HANDLER_WAIT},
    };
    struct pf_settings *s = make();

    (void)state;
    for (size_t i = 0; i < PF_COUNT(choices); i++) {
        set(s, choices[i].key, choices[i].word, &call);
        assert_int_equal(pf_settings_choice(s, choices[i].id), choices[i].choice);
    }
    pf_settings_free(s);
}

static void
test_aliases(void **state)
{
    static const struct {
        const char *name;
        enum pf_setting_id id;
    } names[] = {
        {"prefork", PF_SETTING_MIN_SERVERS},
        {"max_children", PF_SETTING_MAX_SERVERS},
        {"max-children", PF_SETTING_MAX_SERVERS},
        {"daemonize", PF_SETTING_BACKGROUND},
        {"pid_path", PF_SETTING_PID_FILE},
        {"error-log-path", PF_SETTING_LOG_FILE},
        {"ports", PF_SETTING_PORT},
        {"log_file", PF_SETTING_LOG_FILE},
    };
    enum pf_setting_id id = PF_SETTING_PORT;

    (void)state;
    for (size_t i = 0; i < PF_COUNT(names); i++) {
        assert_int_equal(pf_setting_find(names[i].name, &id), 0);
        assert_int_equal(id, names[i].id);
    }
    assert_int_equal(pf_setting_find("portss", &id), -ENOENT);
    assert_int_equal(id, PF_SETTING_LOG_FILE);
}

/* Every row says what a row must say, and no name is used twice. */
static void
test_rows(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PF_SETTING_COUNT_OF; i++) {
        const struct pf_setting *row = pf_setting_row((enum pf_setting_id)i);
        enum pf_setting_id id = PF_SETTING_COUNT_OF;
        size_t length = strlen(row->manual);

        assert_int_equal(pf_setting_find(row->key, &id), 0);
        assert_int_equal(id, i);
        assert_true(row->help[0] != '\0' && strlen(row->help) < 70);
        assert_true(length > 0 && row->manual[length - 1] == '.');
        assert_true((row->type == PF_TYPE_CHOICE) == (row->words[0] != '\0'));
        for (const char *c = row->manual; *c != '\0'; c++)
            assert_true(*c >= ' ' && *c < 127);
    }
}

static void
test_ranks(void **state)
{
    static const struct pf_origin *const ranks[] = {&program, &file, &call, &argument};
    char value[8];

    (void)state;
    for (size_t a = 0; a < PF_COUNT(ranks); a++) {
        for (size_t b = 0; b < PF_COUNT(ranks); b++) {
            struct pf_settings *s = make();

            set(s, "max_servers", "1", ranks[a]);
            (void)snprintf(value, sizeof value, "%d", 2);
            set(s, "max_servers", value, ranks[b]);
            assert_int_equal(pf_settings_number(s, PF_SETTING_MAX_SERVERS), b >= a ? 2 : 1);
            pf_settings_free(s);
        }
    }
}

static void
assert_ports(const struct pf_settings *s, const char *expected)
{
    char joined[64] = "";
    struct pf_text t;

    pf_text_init(&t, joined, sizeof joined);
    for (unsigned i = 0; i < pf_settings_item_count(s, PF_SETTING_PORT); i++)
        pf_text_add(&t, "%s%s", i > 0 ? " " : "", pf_settings_item(s, PF_SETTING_PORT, i));
    assert_string_equal(joined, expected);
}

static void
test_lists(void **state)
{
    struct pf_settings *s = make();

    (void)state;
    assert_ports(s, "20203");
    set(s, "port", "1", &program);
    set(s, "port", "2", &program);
    assert_ports(s, "1 2");
    set(s, "port", "3", &file);
    set(s, "port", "4", &file);
    assert_ports(s, "3 4");
    set(s, "port", "5", &other);
    assert_ports(s, "5");
    set(s, "port", "6", &program);
    assert_ports(s, "5");
    set(s, "port", "7", &argument);
    set(s, "port", "8", &argument);
    assert_ports(s, "7 8");
    assert_null(pf_settings_item(s, PF_SETTING_PORT, 2));
    assert_null(pf_settings_item_origin(s, PF_SETTING_PORT, 2));
    pf_settings_free(s);
}

static void
assert_origin(const struct pf_settings *s, enum pf_setting_id id, const char *expected)
{
    char buffer[256];
    struct pf_text t;

    pf_text_init(&t, buffer, sizeof buffer);
    pf_settings_add_origin(&t, s, id, 0);
    assert_string_equal(buffer, expected);
}

static void
test_origins(void **state)
{
    struct pf_settings *s = make();
    char name[] = "gone.conf";
    struct pf_origin origin = {.kind = PF_ORIGIN_FILE, .file = name, .line = 12};

    (void)state;
    assert_origin(s, PF_SETTING_USER, "default");
    set(s, "user", "bob", &program);
    assert_origin(s, PF_SETTING_USER, "configure_hook");
    set(s, "user", "bob", &origin);
    memset(name, 'x', sizeof name - 1);
    assert_origin(s, PF_SETTING_USER, "gone.conf:12");
    set(s, "user", "bob", &call);
    assert_origin(s, PF_SETTING_USER, "prefork_set");
    set(s, "max-children", "3", &argument);
    assert_origin(s, PF_SETTING_MAX_SERVERS, "--max-servers");
    pf_settings_free(s);
}

/* Of a long name the end is shown, from the beginning of a letter on. */
static void
test_origin_in_a_long_file(void **state)
{
    static const struct {
        const char *end;
        size_t cut; /* bytes that are not shown */
    } cases[] = {{"/pool.conf", 110}, {"/pool2.conf", 112}};
    struct pf_settings *s = make();
    char expected[256];
    char name[400];

    (void)state;
    for (size_t i = 0; i < 300; i += 2)
        memcpy(name + i, "\xc3\xa4", 2); /* one letter */
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        struct pf_origin origin = {.kind = PF_ORIGIN_FILE, .file = name, .line = 7};
        (void)snprintf(name + 300, sizeof name - 300, "%s", cases[i].end);
        (void)snprintf(expected, sizeof expected, "...%.220s:7", name + cases[i].cut);
        set(s, "user", "bob", &origin);
        assert_origin(s, PF_SETTING_USER, expected);
    }
    pf_settings_free(s);
}

static void
test_a_value_that_is_too_long(void **state)
{
    struct pf_settings *s = make();
    struct pf_error error = {0};
    char value[4097];

    (void)state;
    memset(value, 'x', sizeof value - 1);
    value[4095] = '\0';
    assert_int_equal(pf_settings_set(s, "user", value, &call, NULL), 0);
    value[4095] = 'x';
    value[4096] = '\0';
    assert_int_equal(pf_settings_set(s, "user", value, &call, &error), -EINVAL);
    assert_non_null(strstr(error.text, "is longer than 4095 bytes"));
    pf_settings_free(s);
}

static void
count_foreign(void *context, const char *text)
{
    unsigned *count = context;

    if (*count == 0)
        assert_string_equal(text, "x.conf:4: check_for_dead: has no effect: the kernel "
                                  "reports the end of a worker at once");
    else
        assert_string_equal(text, "--multi-port: has no effect: any number of ports is "
                                  "waited for at once");
    (*count)++;
}

static void
test_foreign_keys(void **state)
{
    struct pf_settings *s = make();
    unsigned count = 0;

    (void)state;
    assert_null(pf_foreign_find("check_for"));
    assert_null(pf_foreign_find(""));
    set(s, "check_for_dead", "any thing", &file);
    set(s, "check-for-dead", "", &argument);
    set(s, "multi-port", "", &argument);
    pf_settings_tell_foreign(s, count_foreign, &count);
    assert_int_equal(count, 2);
    set(s, "check_for_dead", "1", &file);
    pf_settings_tell_foreign(s, count_foreign, &count);
    assert_int_equal(count, 2);
    pf_settings_free(s);
}

/* A key is either a setting or foreign. */
static void
test_foreign_rows(void **state)
{
    static const char *const keys[] = {
#define PF_FOREIGN(key, kind, reason) key,
#include "config/foreign.def"
#undef PF_FOREIGN
    };
    enum pf_setting_id id;

    (void)state;
    for (size_t i = 0; i < PF_COUNT(keys); i++) {
        assert_int_equal(pf_setting_find(keys[i], &id), -ENOENT);
        assert_string_equal(pf_foreign_find(keys[i])->key, keys[i]);
    }
}

static void
test_adapt_and_restore(void **state)
{
    struct pf_settings *s = make();

    (void)state;
    assert_int_equal(
        pf_settings_adapt(s, PF_SETTING_MIN_SERVERS, "3", "adapted to x", NULL), 0);
    assert_int_equal(
        pf_settings_adapt(s, PF_SETTING_MIN_SERVERS, "2", "adapted to y", NULL), 0);
    assert_int_equal(pf_settings_number(s, PF_SETTING_MIN_SERVERS), 2);
    assert_false(pf_settings_is_set(s, PF_SETTING_MIN_SERVERS));
    assert_origin(s, PF_SETTING_MIN_SERVERS, "default, adapted to y");
    set(s, "max_servers", "9", &file);
    assert_int_equal(pf_settings_restore(s, NULL), 0);
    assert_int_equal(pf_settings_number(s, PF_SETTING_MIN_SERVERS), 5);
    assert_int_equal(pf_settings_number(s, PF_SETTING_MAX_SERVERS), 9);
    assert_origin(s, PF_SETTING_MIN_SERVERS, "default");
    assert_int_equal(pf_settings_adapt(s, PF_SETTING_IPV, "\n", "from x", NULL), -EINVAL);
    pf_settings_free(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refused_changes_nothing),
        cmocka_unit_test(test_long_unknown_key_is_cut),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_choices_are_the_enums),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_origin_in_a_long_file),
        cmocka_unit_test(test_a_value_that_is_too_long),
        cmocka_unit_test(test_foreign_keys),
        cmocka_unit_test(test_foreign_rows),
        cmocka_unit_test(test_adapt_and_restore),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
