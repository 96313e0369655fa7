/* The command line, one case per way of writing an option. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "config/options.h"
#include "config/setting.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <string.h>

enum {
    WORDS_MAX = 8,
};

static char *
word(const char *s)
{
    union {
        const char *from;
        char *to;
    } u = {s};

    return u.to; /* argv is char *const *, and nobody writes to it */
}

static int
parse(struct pf_settings *s, const char *const *words, int *ret_used,
      struct pf_error *error)
{
    char *argv[WORDS_MAX + 2] = {word("prefork")};
    int argc = 1;

    while (words[argc - 1]) {
        argv[argc] = word(words[argc - 1]);
        argc++;
    }
    return pf_options_parse(s, argc, argv, ret_used, error);
}

struct good {
    const char *name;
    const char *words[WORDS_MAX];
    int result;
    int used; /* of the words */
    enum pf_setting_id id;
    const char *value;
};

static const struct good goods[] = {
    {"nothing", {NULL}, 0, 0, PF_SETTING_USER, NULL},
    {"value behind a blank", {"--min-servers", "5"}, 0, 2, PF_SETTING_MIN_SERVERS, "5"},
    {"value behind =", {"--min-servers=6"}, 0, 1, PF_SETTING_MIN_SERVERS, "6"},
    {"underscores", {"--min_servers=6"}, 0, 1, PF_SETTING_MIN_SERVERS, "6"},
    {"alias", {"--prefork", "6"}, 0, 2, PF_SETTING_MIN_SERVERS, "6"},
    {"value with =", {"--log-file=a=b"}, 0, 1, PF_SETTING_LOG_FILE, "a=b"},
    {"value with blank", {"--group", "a b"}, 0, 2, PF_SETTING_GROUP, "a b"},
    {"value that begins with -", {"--log-file", "-"}, 0, 2, PF_SETTING_LOG_FILE, "-"},
    {"value like an option", {"--log-file=--x"}, 0, 1, PF_SETTING_LOG_FILE, "--x"},
    {"flag last", {"--background"}, 0, 1, PF_SETTING_BACKGROUND, "1"},
    {"flag, then a word", {"--background", "x"}, 0, 1, PF_SETTING_BACKGROUND, "1"},
    {"flag, then its value", {"--background", "off"}, 0, 2, PF_SETTING_BACKGROUND, "off"},
    {"flag, then an option",
     {"--background", "--user=x"},
     0,
     2,
     PF_SETTING_BACKGROUND,
     "1"},
    {"flag with =", {"--background=no"}, 0, 1, PF_SETTING_BACKGROUND, "no"},
    {"negated flag", {"--no-background", "1"}, 0, 1, PF_SETTING_BACKGROUND, "0"},
    {"negated alias", {"--no_daemonize"}, 0, 1, PF_SETTING_BACKGROUND, "0"},
    {"flag that begins with no",
     {"--no-client-stdout"},
     0,
     1,
     PF_SETTING_NO_CLIENT_STDOUT,
     "1"},
    {"negated, it begins with no",
     {"--no-no-client-stdout"},
     0,
     1,
     PF_SETTING_NO_CLIENT_STDOUT,
     "0"},
    {"last one wins", {"--user=a", "--user=b"}, 0, 2, PF_SETTING_USER, "b"},
    {"-- ends", {"--user=a", "--", "--user=b"}, 0, 2, PF_SETTING_USER, "a"},
    {"a word ends", {"--user=a", "x", "--user=b"}, 0, 1, PF_SETTING_USER, "a"},
    {"- is a word", {"-", "--user=b"}, 0, 0, PF_SETTING_USER, NULL},
    {"empty word ends", {"", "--user=b"}, 0, 0, PF_SETTING_USER, NULL},
    {"help", {"--user=a", "--help", "--user=b"}, PF_OPTIONS_HELP, 2, PF_SETTING_USER, "a"},
    {"short help", {"-h"}, PF_OPTIONS_HELP, 1, PF_SETTING_USER, NULL},
    {"version", {"--version"}, PF_OPTIONS_VERSION, 1, PF_SETTING_USER, NULL},
};

static void
test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(goods); i++) {
        const struct good *g = &goods[i];
        struct pf_settings *s = pf_settings_new();
        struct pf_error error = {0};
        int used = -1;
        int r = parse(s, g->words, &used, &error);
        const char *value = pf_settings_text(s, g->id);

        if (r != g->result || used != g->used + 1)
            fail_msg("%s: %d, used %d, \"%s\"", g->name, r, used, error.text);
        if (strcmp(value ? value : "", g->value ? g->value : "") != 0)
            fail_msg("%s: \"%s\"", g->name, value ? value : "(not set)");
        pf_settings_free(s);
    }
}

struct bad {
    const char *name;
    const char *words[WORDS_MAX];
    int code;
    int exit_code;
    const char *says;
};

static const struct bad bads[] = {
    {"unknown",
     {"--min-server", "5"},
     -ENOENT,
     PREFORK_EXIT_USAGE,
     "--min-server: unknown option; did you mean --min-servers?"},
    {"unknown with value",
     {"--zzzzzzz=5"},
     -ENOENT,
     PREFORK_EXIT_USAGE,
     "--zzzzzzz: unknown option"},
    {"one letter", {"-x"}, -ENOENT, PREFORK_EXIT_USAGE, "-x: unknown option"},
    {"one dash", {"-user", "bob"}, -ENOENT, PREFORK_EXIT_USAGE, "options begin with --"},
    {"no name", {"--=5"}, -ENOENT, PREFORK_EXIT_USAGE, "unknown option"},
    {"no value", {"--user"}, -EINVAL, PREFORK_EXIT_USAGE, "--user: a value is needed"},
    {"an option for a value",
     {"--user", "--background"},
     -EINVAL,
     PREFORK_EXIT_USAGE,
     "--user: a value is needed; one that begins with -- is given with ="},
    {"empty value", {"--user="}, -EINVAL, PREFORK_EXIT_CONFIG, "--user: \"\" is empty"},
    {"empty word", {"--user", ""}, -EINVAL, PREFORK_EXIT_CONFIG, "--user: \"\" is empty"},
    {"empty flag", {"--background="}, -EINVAL, PREFORK_EXIT_CONFIG, "is empty"},
    {"bad value",
     {"--max-servers", "0"},
     -ERANGE,
     PREFORK_EXIT_CONFIG,
     "--max-servers: \"0\" is out of range; 1 to 100000 is allowed"},
    {"bad flag", {"--background=maybe"}, -EINVAL, PREFORK_EXIT_CONFIG, "is neither"},
    {"value of a negation",
     {"--no-background=1"},
     -EINVAL,
     PREFORK_EXIT_USAGE,
     "--no-background: takes no value"},
    {"negated number", {"--no-max-servers"}, -ENOENT, PREFORK_EXIT_USAGE, "unknown option"},
};

static void
test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(bads); i++) {
        const struct bad *b = &bads[i];
        struct pf_settings *s = pf_settings_new();
        struct pf_error error = {0};
        int used = -1;
        int r = parse(s, b->words, &used, &error);

        if (r != b->code || used != -1 || error.exit_code != b->exit_code ||
            !strstr(error.text, b->says))
            fail_msg("%s: %d, exit %d, \"%s\"", b->name, r, error.exit_code, error.text);
        pf_settings_free(s);
    }
}

static void
test_lists_collect(void **state)
{
    const char *const words[] = {"--port=1", "--port", "2", "--port=3", NULL};
    struct pf_settings *s = pf_settings_new();

    (void)state;
    assert_int_equal(parse(s, words, NULL, NULL), 0);
    assert_int_equal(pf_settings_item_count(s, PF_SETTING_PORT), 3);
    assert_string_equal(pf_settings_item(s, PF_SETTING_PORT, 1), "2");
    pf_settings_free(s);
}

static void
test_no_words_at_all(void **state)
{
    struct pf_settings *s = pf_settings_new();
    char *argv[] = {NULL};
    int used = -1;

    (void)state;
    assert_int_equal(pf_options_parse(s, 0, argv, &used, NULL), 0);
    assert_int_equal(used, 0);
    pf_settings_free(s);
}

static void
test_very_long_option(void **state)
{
    struct pf_settings *s = pf_settings_new();
    struct pf_error error = {0};
    char option[4000];
    const char *const words[] = {option, NULL};

    (void)state;
    memset(option, '-', sizeof option);
    option[sizeof option - 1] = '\0';
    assert_int_equal(parse(s, words, NULL, &error), -ENOENT);
    pf_settings_free(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_lists_collect),
        cmocka_unit_test(test_no_words_at_all),
        cmocka_unit_test(test_very_long_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
