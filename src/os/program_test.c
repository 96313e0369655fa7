/* Programs: found as execvp(3) finds them, run and waited for. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "os/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const struct {
    const char *name;
    const char *path;
    const char *script;
    int r;
    int status;
} programs[] = {
    {"status 0", "/bin/sh", "exit 0", 0, 0},
    {"status 5", "/bin/sh", "exit 5", 0, 5 << 8},
    {"killed", "/bin/sh", "kill -9 $$", 0, SIGKILL},
    {"a signal that is caught here is its own", "/bin/sh", "kill -USR1 $$", 0, SIGUSR1},
    {"one that is blocked here is not", "/bin/sh", "kill -TERM $$", 0, SIGTERM},
    {"SIGPIPE is its own", "/bin/sh", "kill -PIPE $$", 0, SIGPIPE},
    {"not there", "/nonexistent/program", "", -ENOENT, 0},
    {"not executable", "/etc/passwd", "", -EACCES, 0},
};

static void
must_not_run(int signum)
{
    (void)signum;
    abort();
}

static void
block_sigterm(int how)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    assert_int_equal(sigprocmask(how, &set, NULL), 0);
}

static void
programs_are_run(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGUSR1, must_not_run);
    block_sigterm(SIG_BLOCK);
    for (size_t i = 0; i < PF_COUNT(programs); i++) {
        char script[64];
        char shell[] = "sh";
        char flag[] = "-c";
        char *argv[] = {shell, flag, script, NULL};
        volatile pid_t running = 0;
        int status = 0;
        int r;
        (void)strcpy(script, programs[i].script);
        r = pf_program_run(programs[i].path, argv, environ, STDERR_FILENO, &running,
                           &status);
        if (r != programs[i].r || status != programs[i].status)
            fail_msg("%s: %d, status %d", programs[i].name, r, status);
    }
    block_sigterm(SIG_UNBLOCK);
    (void)signal(SIGUSR1, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
}

/* In a process of its own, whose standard input or output the connection is. */
static int
echo_a_line(int connection, int low)
{
    char shell[] = "sh";
    char flag[] = "-c";
    char script[] = "read line && echo $line";
    char *argv[] = {shell, flag, script, NULL};
    volatile pid_t running = 0;
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        (void)dup3(connection, low, O_CLOEXEC);
        _exit(pf_program_run("/bin/sh", argv, environ, low, &running, &status) < 0 ||
              status != 0);
    }
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

static void
a_connection_may_be_descriptor_0_or_1(void **state)
{
    (void)state;
    for (int low = STDIN_FILENO; low <= STDOUT_FILENO; low++) {
        char answer[8] = "";
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(write(ends[0], "hello\n", 6), 6);
        assert_int_equal(echo_a_line(ends[1], low), 0);
        assert_int_equal(read(ends[0], answer, sizeof answer), 6);
        assert_string_equal(answer, "hello\n");
        (void)close(ends[0]);
        (void)close(ends[1]);
    }
}

static const struct {
    const char *name;
    int r;
} found[] = {
    {"sh", 0},
    {"/bin/sh", 0},
    {"no-such-program-anywhere", -ENOENT},
    {"/nonexistent/sh", -ENOENT},
    {"/etc/passwd", -EACCES},
    {"/bin", -EISDIR},
    {"", -ENOENT},
};

static void
programs_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(found); i++) {
        char *path = NULL;
        int r = pf_program_find(found[i].name, &path);
        bool given = path != NULL;
        free(path);
        if ((r == 0) != given || (found[i].name[0] && r != found[i].r))
            fail_msg("\"%s\": %d", found[i].name, r);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_are_run),
        cmocka_unit_test(a_connection_may_be_descriptor_0_or_1),
        cmocka_unit_test(programs_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
