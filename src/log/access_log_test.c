/* The access log on real files: whole lines, lost lines, and a torn one. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "log/access_log.h"
#include "log/log.h"
#include "log/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/prefork-access-XXXXXX";
static char path[64];
static unsigned told; /* lines of the log */
static char last[512];

static void
hear(enum prefork_log_level level, const char *text, void *data)
{
    (void)data;
    assert_int_equal(level, PREFORK_LOG_WARNING);
    (void)snprintf(last, sizeof last, "%s", text);
    told++;
}

static int say(const char *format, ...) PF_PRINTF(1, 2);

static int
say(const char *format, ...)
{
    va_list args;
    int r;

    va_start(args, format);
    r = pf_access_log_v(format, args);
    va_end(args);
    return r;
}

/* The whole file. */
static const char *
text(void)
{
    static char buffer[16384];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, buffer, sizeof buffer - 1);

    assert_true(n >= 0);
    buffer[n] = '\0';
    (void)close(fd);
    return buffer;
}

static void
limit(rlim_t bytes)
{
    struct rlimit l;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
    l.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void
lines_are_written_as_they_are(void **state)
{
    (void)state;
    assert_int_equal(pf_access_log_open(path, NULL), 0);
    errno = 7;
    assert_int_equal(say("%s %d",
                         "GET /gr\xc3\xbc\xc3\x9f"
                         "e \\x",
                         200),
                     0);
    assert_int_equal(say("%s", "a\nb\r\t\x1b\x7f"), 0);
    assert_int_equal(say("%s", ""), 0);
    assert_string_equal(text(), "GET /gr\xc3\xbc\xc3\x9f"
                                "e \\x 200\na\\x0Ab\\x0D\\x09\\x1B\\x7F\n\n");
    pf_access_log_close();
    assert_int_equal(told, 0);
}

static void
a_long_line_is_cut_and_stays_a_line(void **state)
{
    char huge[9000];
    const char *end;

    (void)state;
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    assert_int_equal(pf_access_log_open(path, NULL), 0);
    assert_int_equal(say("%s", huge), 0);
    assert_int_equal(say("next"), 0);
    end = strchr(text(), '\n');
    assert_int_equal(end - text(), 4094);
    assert_string_equal(end, "\nnext\n");
    memset(huge, '\n', sizeof huge - 1);
    assert_int_equal(say("%s", huge), 0);
    assert_int_equal(strlen(text()), 2 * 4095 + 5);
    pf_access_log_close();
}

static void
without_a_file_nothing_is_written(void **state)
{
    struct pf_error error = {0};

    (void)state;
    assert_false(pf_access_log_is_open());
    assert_int_equal(say("x"), -EBADF);
    assert_int_equal(pf_access_log_write("x"), -EBADF);
    assert_int_equal(pf_outlet_renew(PF_OUTLET_ACCESS_LOG), -EINVAL);
    assert_int_equal(pf_outlet_mark(PF_OUTLET_ACCESS_LOG), 0);
    assert_int_equal(pf_access_log_open("/nowhere/at/all", &error), -ENOENT);
    assert_non_null(strstr(error.text, "access_log_path /nowhere/at/all: No such file"));
    assert_int_equal(error.exit_code, PREFORK_EXIT_SYSTEM);
    assert_int_equal(pf_access_log_open(directory, &error), -EISDIR);
    assert_false(pf_access_log_is_open());
    pf_access_log_close();
}

static void
the_programs_lines_are_noticed(void **state)
{
    (void)state;
    assert_int_equal(pf_access_log_open(path, NULL), 0);
    pf_access_log_begin();
    assert_int_equal(pf_access_log_write("the library's"), 0);
    assert_false(pf_access_log_was_used());
    assert_int_equal(say("the program's"), 0);
    assert_true(pf_access_log_was_used());
    pf_access_log_begin();
    assert_false(pf_access_log_was_used());
    pf_access_log_close();
}

/* However many lines and processes: one warning when it begins. */
static void
a_full_device_is_told_once(void **state)
{
    int status;
    pid_t child;

    (void)state;
    assert_int_equal(pf_access_log_open("/dev/full", NULL), 0);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(say("lost"), -ENOSPC);
    assert_int_equal(told, 1);
    assert_string_equal(last, "cannot write to access_log_path /dev/full: No space left on "
                              "device; its lines are lost until that is mended");
    child = fork();
    if (child == 0)
        _exit(say("lost") == -ENOSPC && told == 1 ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pf_access_log_close();
    assert_int_equal(told, 2);
    assert_string_equal(last, "51 lines of access_log_path /dev/full were lost");
}

/* Another process begins on a new line. */
static void
a_torn_line_stays_alone(void **state)
{
    int status;
    pid_t child;

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(pf_access_log_open(path, NULL), 0);
    child = fork();
    if (child == 0) {
        limit(5);
        _exit(say("0123456789") == -ENOSPC && say("x") == -EFBIG ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(say("whole"), 0);
    assert_int_equal(say("and another"), 0);
    assert_string_equal(text(), "01234\nwhole\nand another\n");
    pf_access_log_close();
    assert_int_equal(told, 1);
    assert_non_null(strstr(last, "2 lines of access_log_path"));
}

static void
room_again_is_told_with_the_number(void **state)
{
    struct timespec nap = {.tv_nsec = 1000000};

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(pf_access_log_open(path, NULL), 0);
    limit(0);
    assert_int_equal(say("lost"), -EFBIG);
    assert_int_equal(say("lost"), -EFBIG);
    limit(RLIM_INFINITY);
    assert_int_equal(say("kept"), 0);
    assert_int_equal(told, 1); /* not within the second */
    limit(0);
    assert_int_equal(say("lost"), -EFBIG);
    limit(RLIM_INFINITY);
    assert_int_equal(told, 1);
    for (unsigned i = 0; i < 5000 && told == 1; i++) {
        assert_int_equal(say("kept"), 0);
        (void)nanosleep(&nap, NULL);
    }
    assert_int_equal(told, 2);
    assert_non_null(strstr(last, "is written again; 3 lines were lost"));
    pf_access_log_close();
    assert_int_equal(told, 2);
}

static int
begin(void **state)
{
    (void)state;
    (void)unlink(path);
    told = 0;
    pf_log_open("test", PREFORK_LOG_WARNING, hear, NULL);
    return 0;
}

static int
make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    (void)snprintf(path, sizeof path, "%s/log", directory);
    return 0;
}

static int
remove_directory(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(directory);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(lines_are_written_as_they_are, begin),
        cmocka_unit_test_setup(a_long_line_is_cut_and_stays_a_line, begin),
        cmocka_unit_test_setup(without_a_file_nothing_is_written, begin),
        cmocka_unit_test_setup(the_programs_lines_are_noticed, begin),
        cmocka_unit_test_setup(a_full_device_is_told_once, begin),
        cmocka_unit_test_setup(a_torn_line_stays_alone, begin),
        cmocka_unit_test_setup(room_again_is_told_with_the_number, begin),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
