/* Pid files: what is in them, and who has them locked. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "os/pidfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[] = "/tmp/prefork-pidfile-XXXXXX";

static int
make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int
remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void
write_file(const char *text, size_t size)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void
test_read(void **state)
{
    static const struct {
        const char *text;
        size_t size; /* 0: to its end */
        int result;
        pid_t pid;
    } cases[] = {
        {"1\n", 0, 0, 1},
        {"4711\n", 0, 0, 4711},
        {"2147483647\n", 0, 0, 2147483647},
        {"", 0, PF_PIDFILE_EMPTY, 0},
        {"2147483648\n", 0, PF_PIDFILE_GARBAGE, 0},
        {"99999999999999999999\n", 0, PF_PIDFILE_GARBAGE, 0},
        {"\n", 0, PF_PIDFILE_GARBAGE, 0},
        {"0\n", 0, PF_PIDFILE_GARBAGE, 0},
        {"01\n", 0, PF_PIDFILE_GARBAGE, 0},
        {"-1\n", 0, PF_PIDFILE_GARBAGE, 0},
        {"+1\n", 0, PF_PIDFILE_GARBAGE, 0},
        {" 1\n", 0, PF_PIDFILE_GARBAGE, 0},
        {"1 \n", 0, PF_PIDFILE_GARBAGE, 0},
        {"1", 0, PF_PIDFILE_GARBAGE, 0},
        {"1\n\n", 0, PF_PIDFILE_GARBAGE, 0},
        {"1\n2\n", 0, PF_PIDFILE_GARBAGE, 0},
        {"1 2\n", 0, PF_PIDFILE_GARBAGE, 0},
        {"1\0\n", 3, PF_PIDFILE_GARBAGE, 0},
        {"\0\n", 2, PF_PIDFILE_GARBAGE, 0},
        {"000000000000001\n", 0, PF_PIDFILE_GARBAGE, 0},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        size_t size = cases[i].size ? cases[i].size : strlen(cases[i].text);
        pid_t pid = 0;
        int fd;
        write_file(cases[i].text, size);
        fd = pf_pidfile_open(path);
        assert_true(fd >= 0);
        if (pf_pidfile_read(fd, &pid) != cases[i].result || pid != cases[i].pid)
            fail_msg("case %zu: pid %d", i, (int)pid);
        (void)close(fd);
    }
}

static void
test_open(void **state)
{
    char other[sizeof path + 8];

    (void)state;
    (void)snprintf(other, sizeof other, "%s.other", path);
    assert_int_equal(pf_pidfile_open(other), -ENOENT);
    assert_int_equal(pf_pidfile_open("/tmp"), -EISDIR);
    assert_int_equal(pf_pidfile_open("/dev/null"), -ENOTSUP);
    assert_int_equal(mkfifo(other, 0600), 0);
    assert_int_equal(pf_pidfile_open(other), -ENOTSUP);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(symlink(path, other), 0);
    assert_int_equal(pf_pidfile_open(other), -ELOOP);
    assert_int_equal(unlink(other), 0);
}

/* A child takes the lock, says so, and lives until its pipe is closed. */
static pid_t
start_holder(int *ret_end)
{
    int there[2];
    int gone[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(there), 0);
    assert_int_equal(pipe(gone), 0);
    pid = fork();
    if (pid == 0) {
        int fd = pf_pidfile_open(path);
        (void)close(gone[1]);
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || write(there[1], "", 1) != 1)
            _exit(1);
        _exit(read(gone[0], &byte, 1) == 0 ? 0 : 1);
    }
    assert_true(pid > 0);
    assert_int_equal(read(there[0], &byte, 1), 1);
    (void)close(there[0]);
    (void)close(there[1]);
    (void)close(gone[0]);
    *ret_end = gone[1];
    return pid;
}

static void
test_holder(void **state)
{
    int fd = pf_pidfile_open(path);
    pid_t holder = 7;
    int status;
    int end;
    pid_t child;

    (void)state;
    assert_int_equal(pf_pidfile_holder(fd, &holder), 0);
    assert_int_equal(holder, 0);
    child = start_holder(&end);
    assert_int_equal(pf_pidfile_holder(fd, &holder), 0);
    assert_int_equal(holder, child);
    (void)close(end);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(pf_pidfile_holder(fd, &holder), 0);
    assert_int_equal(holder, 0);
    (void)close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_holder),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
