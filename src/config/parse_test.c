/* The grammar of config files, with every text placed right before a page that cannot
 * be read, and the reading of files from disk. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "config/load.h"
#include "config/parse.h"
#include "config/setting.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FENCE_BYTES = 1 << 16,
};

/* Memory that ends where reading is not allowed. */
static char *fence;

static int
setup(void **state)
{
    (void)state;
    fence = mmap(NULL, FENCE_BYTES * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                 -1, 0);
    if (fence == MAP_FAILED)
        return -1;
    return mprotect(fence + FENCE_BYTES, FENCE_BYTES, PROT_NONE);
}

static int
parse(struct pf_settings *s, const char *text, size_t length, struct pf_error *error)
{
    char *place = fence + FENCE_BYTES - length;

    memcpy(place, text, length);
    return pf_parse_config(s, "x.conf", place, length, error);
}

struct good {
    const char *name;
    const char *text;
    enum pf_setting_id id;
    const char *value; /* NULL: not set */
};

static const struct good goods[] = {
    {"nothing", "", PF_SETTING_USER, NULL},
    {"blank lines", "\n \n\t\n\r\n", PF_SETTING_USER, NULL},
    {"comment", "# user bob\n  # user bob", PF_SETTING_USER, NULL},
    {"blank between", "user bob\n", PF_SETTING_USER, "bob"},
    {"no newline at the end", "user bob", PF_SETTING_USER, "bob"},
    {"tabs", "\tuser\t\tbob\t\n", PF_SETTING_USER, "bob"},
    {"equals", "user=bob", PF_SETTING_USER, "bob"},
    {"equals with blanks", "user  =  bob", PF_SETTING_USER, "bob"},
    {"colon", "user: bob", PF_SETTING_USER, "bob"},
    {"colon before", "user :bob", PF_SETTING_USER, "bob"},
    {"an address of colons", "host ::1", PF_SETTING_HOST, "::1"},
    {"an address of colons behind a sign", "host: ::1", PF_SETTING_HOST, "::1"},
    {"value that begins with a sign", "port = :80", PF_SETTING_PORT, ":80"},
    {"value with signs", "port [::1]:80/tcp", PF_SETTING_PORT, "[::1]:80/tcp"},
    {"value with blanks", "group a, b c", PF_SETTING_GROUP, "a, b c"},
    {"dashes before", "--user bob", PF_SETTING_USER, "bob"},
    {"dashes inside", "max-servers 7", PF_SETTING_MAX_SERVERS, "7"},
    {"alias", "max_children 7", PF_SETTING_MAX_SERVERS, "7"},
    {"carriage return", "user bob\r\nport 80\r\n", PF_SETTING_USER, "bob"},
    {"blanks and comment behind", "port 5401   # x", PF_SETTING_PORT, "5401"},
    {"comment without blank", "user bob#x", PF_SETTING_USER, "bob"},
    {"literal #", "log_file /tmp/a\\#b # c", PF_SETTING_LOG_FILE, "/tmp/a#b"},
    {"backslash before literal #", "log_file a\\\\#b", PF_SETTING_LOG_FILE, "a\\#b"},
    {"backslash elsewhere", "log_file a\\b\\", PF_SETTING_LOG_FILE, "a\\b\\"},
    {"no percent decoding", "log_file /a%41%b", PF_SETTING_LOG_FILE, "/a%41%b"},
    {"double quotes", "log_file \"a b\"", PF_SETTING_LOG_FILE, "a b"},
    {"single quotes", "log_file = 'a b' # c", PF_SETTING_LOG_FILE, "a b"},
    {"one pair of quotes", "log_file \"\"a'\"", PF_SETTING_LOG_FILE, "\"a'"},
    {"quotes inside", "log_file a\"b\"", PF_SETTING_LOG_FILE, "a\"b\""},
    {"flag off", "background\nno_background", PF_SETTING_BACKGROUND, "0"},
    {"flag off with dashes", "--no-background", PF_SETTING_BACKGROUND, "0"},
    {"name that begins like a negation", "no_client_stdout", PF_SETTING_NO_CLIENT_STDOUT,
     "1"},
    {"foreign key", "spare_servers 5\nuser bob", PF_SETTING_USER, "bob"},
    {"foreign key alone", "multi-port\nuser bob", PF_SETTING_USER, "bob"},
    {"value like an option", "log_file --x", PF_SETTING_LOG_FILE, "--x"},
    {"flag alone", "background", PF_SETTING_BACKGROUND, "1"},
    {"flag alone with dashes", "--background # yes", PF_SETTING_BACKGROUND, "1"},
    {"flag with value", "background off", PF_SETTING_BACKGROUND, "off"},
    {"last one wins", "user a\nuser b", PF_SETTING_USER, "b"},
    {"letters beyond ASCII", "log_file /t\xc3\xa4st", PF_SETTING_LOG_FILE, "/t\xc3\xa4st"},
};

static void
test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(goods); i++) {
        const struct good *g = &goods[i];
        struct pf_settings *s = pf_settings_new();
        struct pf_error error = {0};
        const char *value;

        if (parse(s, g->text, strlen(g->text), &error) < 0)
            fail_msg("%s: %s", g->name, error.text);
        value = pf_settings_text(s, g->id);
        if ((value && !g->value) || (!value && g->value) ||
            (value && strcmp(value, g->value) != 0))
            fail_msg("%s: \"%s\"", g->name, value ? value : "(not set)");
        pf_settings_free(s);
    }
}

struct bad {
    const char *name;
    const char *text;
    size_t length; /* 0: of the string */
    int code;
    const char *says;
};

static const struct bad bads[] = {
    {"unknown key", "\n\nmin_server 5\n", 0, -ENOENT,
     "x.conf:3: min_server: unknown setting; did you mean min_servers?"},
    {"unknown key alone", "backgrund", 0, -ENOENT, "did you mean background?"},
    {"key alone", "user", 0, -EINVAL, "x.conf:1: user: a value is needed"},
    {"key alone, then a comment", "user # bob", 0, -EINVAL, "a value is needed"},
    {"no value behind the sign", "user =", 0, -EINVAL, "x.conf:1: user: \"\" is empty"},
    {"no value of a flag behind the sign", "background =", 0, -EINVAL, "is empty"},
    {"bad value", "user a\nmax_servers 0", 0, -ERANGE, "x.conf:2: max_servers: \"0\""},
    {"no key", "= 5", 0, -EINVAL, "x.conf:1: a line begins with the name of a setting"},
    {"dashes only", "--", 0, -EINVAL, "begins with the name"},
    {"section", "[pool]", 0, -EINVAL, "begins with the name"},
    {"no separator", "port[::]:80", 0, -EINVAL,
     "x.conf:1: between a setting and its value stands a blank, = or :"},
    {"file in a file", "conf_file y.conf", 0, -EINVAL,
     "x.conf:1: conf_file: a config file cannot name another one"},
    {"NUL", "user a\0b", 8, -EINVAL,
     "x.conf:1: user: there is a control character in the line"},
    {"open quote", "log_file \"a b", 0, -EINVAL, "x.conf:1: log_file: a quote at the"},
    {"quote that a comment cuts", "log_file 'a # b'", 0, -EINVAL, "is written \\#"},
    {"one quote", "log_file '", 0, -EINVAL, "is not closed"},
    {"other quote", "log_file 'a\"", 0, -EINVAL, "is not closed"},
    {"empty quotes", "log_file \"\"", 0, -EINVAL, "x.conf:1: log_file: \"\" is empty"},
    {"value of a negation", "no_background 1", 0, -EINVAL,
     "x.conf:1: no_background: takes no value"},
    {"negation of no flag", "no_user", 0, -ENOENT, "x.conf:1: no_user: unknown setting"},
    {"only NUL", "\0", 1, -EINVAL, "control character"},
    {"control character", "user a\x1b[m", 0, -EINVAL, "control character"},
    {"control character in a comment", "# \x07", 0, -EINVAL, "control character"},
    {"carriage return inside", "user a\rb", 0, -EINVAL, "control character"},
    {"delete", "user a\x7f", 0, -EINVAL, "control character"},
};

static void
test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(bads); i++) {
        const struct bad *b = &bads[i];
        struct pf_settings *s = pf_settings_new();
        struct pf_error error = {0};
        int r = parse(s, b->text, b->length > 0 ? b->length : strlen(b->text), &error);

        if (r != b->code || error.exit_code != PREFORK_EXIT_CONFIG ||
            !strstr(error.text, b->says))
            fail_msg("%s: %d, exit %d, \"%s\"", b->name, r, error.exit_code, error.text);
        pf_settings_free(s);
    }
}

static void
test_longest_line(void **state)
{
    struct pf_settings *s = pf_settings_new();
    struct pf_error error = {0};
    char line[PF_PARSE_LINE_BYTES + 1] = "log_file ";

    (void)state;
    memset(line + 9, 'a', sizeof line - 9);
    assert_int_equal(parse(s, line, sizeof line - 1, &error), 0);
    assert_int_equal(strlen(pf_settings_text(s, PF_SETTING_LOG_FILE)), sizeof line - 10);
    assert_int_equal(parse(s, line, sizeof line, &error), -EINVAL);
    assert_non_null(
        strstr(error.text, "x.conf:1: log_file: the line is longer than 4096 bytes"));
    pf_settings_free(s);
}

/* Every beginning of a good file is read without a step over its end. */
static void
test_every_length(void **state)
{
    static const char text[] = "\tport = 80 # x\r\n--user:bob\\#\nbackground\n\\#\n";

    (void)state;
    for (size_t length = 0; length < sizeof text; length++) {
        struct pf_settings *s = pf_settings_new();
        (void)!parse(s, text, length, NULL); /* many of them are wrong */
        pf_settings_free(s);
    }
}

/* Noise made of the letters that mean something. */
static void
test_noise(void **state)
{
    static const char letters[] = "=: \t\r\n#\\-_userpot80\0\x01\xff";
    struct pf_settings *s = pf_settings_new();
    char text[64];

    (void)state;
    srandom(1);
    for (int round = 0; round < 20000; round++) {
        size_t length = (size_t)random() % sizeof text;
        for (size_t i = 0; i < length; i++)
            text[i] = letters[(size_t)random() % (sizeof letters - 1)];
        (void)!parse(s, text, length,
                     NULL); /* any answer is fine, as long as there is one */
    }
    pf_settings_free(s);
}

static void
test_list_of_one_file(void **state)
{
    static const char text[] = "port 1\nuser bob\nport 2\n";
    struct pf_settings *s = pf_settings_new();

    (void)state;
    assert_int_equal(parse(s, text, strlen(text), NULL), 0);
    assert_int_equal(pf_settings_item_count(s, PF_SETTING_PORT), 2);
    assert_int_equal(pf_settings_item_origin(s, PF_SETTING_PORT, 0)->line, 1);
    assert_int_equal(pf_settings_item_origin(s, PF_SETTING_PORT, 1)->line, 3);
    pf_settings_free(s);
}

/* ---- files ----------------------------------------------------------------------- */

static void
write_file(const char *path, const char *text, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), length);
    assert_int_equal(close(fd), 0);
}

static void
test_load(void **state)
{
    char directory[] = "/tmp/prefork-load-XXXXXX";
    struct pf_settings *s = pf_settings_new();
    struct pf_error error = {0};
    char path[64];

    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/x.conf", directory);

    write_file(path, "max_servers 7\n", 14);
    assert_int_equal(pf_load_config(s, path, NULL, NULL), 0);
    assert_int_equal(pf_settings_number(s, PF_SETTING_MAX_SERVERS), 7);

    write_file(path, "\nx 7\n", 5);
    assert_int_equal(pf_load_config(s, path, NULL, &error), -ENOENT);
    assert_non_null(strstr(error.text, "x.conf:2: x: unknown setting"));

    assert_int_equal(truncate(path, PF_LOAD_BYTES_MAX + 1), 0);
    error = (struct pf_error){0};
    assert_int_equal(pf_load_config(s, path, NULL, &error), -EFBIG);
    assert_non_null(strstr(error.text, "x.conf: is larger than 1 MiB"));

    assert_int_equal(unlink(path), 0);
    error = (struct pf_error){0};
    assert_int_equal(pf_load_config(s, path, NULL, &error), -ENOENT);
    assert_int_equal(error.exit_code, PREFORK_EXIT_CONFIG);
    assert_non_null(strstr(error.text, "x.conf: No such file or directory"));

    error = (struct pf_error){0};
    assert_int_equal(pf_load_config(s, directory, NULL, &error), -EISDIR);
    assert_int_equal(pf_load_config(s, "/dev/null", NULL, NULL), -EINVAL);
    assert_int_equal(rmdir(directory), 0);
    pf_settings_free(s);
}

static void
test_load_pipe(void **state)
{
    struct pf_settings *s = pf_settings_new();
    char path[64];
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "user bob\n", 9), 9);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    /* The write end has to be closed after the other end is opened, and before it is
     * read to its end: a second writer, who is gone at once, shows the same. */
    if (fork() == 0) {
        (void)close(ends[0]);
        (void)usleep(50000);
        _exit(0);
    }
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(pf_load_config(s, path, NULL, NULL), 0);
    assert_string_equal(pf_settings_text(s, PF_SETTING_USER), "bob");
    assert_int_equal(close(ends[0]), 0);
    pf_settings_free(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_bad),
        cmocka_unit_test(test_longest_line), cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_noise),        cmocka_unit_test(test_list_of_one_file),
        cmocka_unit_test(test_load),         cmocka_unit_test(test_load_pipe),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
