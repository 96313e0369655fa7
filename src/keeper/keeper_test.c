/* The keeper, with masters that are told by a word in their environment what to do.
 *
 * Each test forks a process that becomes the keeper. The first master is what returns from
 * that; each next one is this program, executed anew, which goes to another part of main().
 * All of them write to one pipe, a line for each master. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "keeper/keeper.h"
#include "log/log.h"
#include "os/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PART "PREFORK_TEST_PART"

enum {
    LINE_BYTES = 512,
};

static void
forget(void *context)
{
    (void)context;
}

static int
settle(void *context, struct pf_error *error)
{
    (void)context;
    (void)error;
    return 0;
}

static const struct pf_keeper_setup setup = {
    .name = "test",
    .capacity = 16,
    .stop_timeout = 30 * PF_SECOND,
    .kill_timeout = PF_SECOND,
    .forget = forget,
    .settle = settle,
};

static void
store(int keeper, const char *name, int fd)
{
    if (pf_notify_store(keeper, name, &fd, 1) < 0)
        _exit(99);
}

/* What a master needs that will have another one after it. */
static void
store_usual(int keeper, int report)
{
    store(keeper, PF_KEEPER_EXECUTABLE, open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    store(keeper, "report", report);
    (void)pf_notify_send(keeper, "READY=1\n");
}

/* ---- masters after the first -----------------------------------------------------------
 */

static int
find_report(void)
{
    const char *names = getenv("LISTEN_FDNAMES");
    int fd = 3;

    for (const char *at = names; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
        if (strncmp(at, "report", strlen("report")) == 0)
            return fd;
        fd++;
    }
    return -1;
}

static int
be_next_master(const char *part)
{
    const char *pid = getenv("LISTEN_PID");
    int report = find_report();
    int keeper = pf_keeper_join();

    (void)dprintf(report, "next: fds %s, names %s, pid %s, keeper %s, variable %s\n",
                  getenv("LISTEN_FDS"), getenv("LISTEN_FDNAMES"),
                  pid && atoi(pid) == (int)getpid() ? "right" : "wrong",
                  keeper >= 0 ? "there" : "missing", getenv("PREFORK_KEEPER"));
    if (strcmp(part, "stop") == 0) {
        (void)pf_notify_send(keeper, "READY=1\nSTOPPING=1\n");
        return 7;
    }
    if (strcmp(part, "fail") == 0)
        return 78;
    (void)pause();
    return 0;
}

/* ---- the tests -------------------------------------------------------------------------
 */

struct running {
    pid_t keeper;
    FILE *report;
};

static struct running
start(const char *part, void (*first)(int keeper, int report))
{
    struct running r = {0};
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    r.keeper = fork();
    if (r.keeper == 0) {
        struct pf_error error = {0};
        int keeper = -1;
        (void)close(ends[0]);
        (void)setenv(PART, part, 1);
        pf_log_open("test", 0, NULL, NULL);
        if (pf_keeper_start(&setup, &keeper, &error) < 0)
            _exit(98);
        first(keeper, ends[1]);
        _exit(97);
    }
    (void)close(ends[1]);
    r.report = fdopen(ends[0], "r");
    return r;
}

static void
expect_line(struct running *r, const char *expected)
{
    char line[LINE_BYTES] = "";

    assert_non_null(fgets(line, sizeof line, r->report));
    assert_string_equal(line, expected);
}

static int
status_of(struct running *r)
{
    int status;

    assert_int_equal(waitpid(r->keeper, &status, 0), r->keeper);
    (void)fclose(r->report);
    return status;
}

static void
die_ready(int keeper, int report)
{
    store_usual(keeper, report);
    (void)raise(SIGKILL);
}

static void
the_next_master_has_what_the_last_one_stored(void **state)
{
    struct running r = start("stop", die_ready);
    int status;

    (void)state;
    expect_line(&r, "next: fds 2, names prefork.exe:report, pid right, keeper there, "
                    "variable (null)\n");
    status = status_of(&r);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void
fail_to_start(int keeper, int report)
{
    (void)report;
    (void)keeper;
    _exit(78);
}

static void
a_failed_start_is_the_end(void **state)
{
    struct running r = start("stop", fail_to_start);
    int status = status_of(&r);

    (void)state;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 78);
}

static void
die_early(int keeper, int report)
{
    (void)keeper;
    (void)report;
    (void)raise(SIGKILL);
}

static void
a_keeper_ends_like_its_master(void **state)
{
    struct running r = start("stop", die_early);
    int status = status_of(&r);

    (void)state;
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* What comes after it is refused, and what was there before is there. */
static void
fill_and_die(int keeper, int report)
{
    char name[16];

    store_usual(keeper, report);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "f%d", i);
        store(keeper, name, memfd_create("test", MFD_CLOEXEC));
    }
    for (int i = 1; i < 20; i++) {
        (void)snprintf(name, sizeof name, "f%d", i);
        (void)!pf_notify_unstore(keeper, name);
    }
    (void)raise(SIGKILL);
}

static void
a_full_shelf_holds_what_it_has(void **state)
{
    struct running r = start("stop", fill_and_die);

    (void)state;
    expect_line(&r, "next: fds 3, names prefork.exe:report:f0, pid right, keeper there, "
                    "variable (null)\n");
    (void)status_of(&r);
}

/* Without a pause, then after 0.1, 0.2 and 0.4 seconds. */
static void
masters_that_fail_are_started_ever_less_often(void **state)
{
    struct running r = start("fail", die_ready);
    struct timespec before;
    struct timespec after;
    char line[LINE_BYTES];
    int status;
    long long ms;

    (void)state;
    assert_non_null(fgets(line, sizeof line, r.report));
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    for (int i = 0; i < 3; i++)
        assert_non_null(fgets(line, sizeof line, r.report));
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    ms = (after.tv_sec - before.tv_sec) * 1000LL +
         (after.tv_nsec - before.tv_nsec) / 1000000;
    assert_true(ms >= 500);
    assert_int_equal(kill(r.keeper, SIGTERM), 0);
    status = status_of(&r);
    /* If a master was just being started, it ended by that or with 78. */
    assert_true(WIFEXITED(status) || WTERMSIG(status) == SIGTERM);
}

static void
without_executable(int keeper, int report)
{
    store(keeper, "report", report);
    (void)pf_notify_send(keeper, "READY=1\n");
    (void)raise(SIGKILL);
}

static void
without_an_executable_it_is_the_end(void **state)
{
    struct running r = start("stop", without_executable);
    int status = status_of(&r);

    (void)state;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == PREFORK_EXIT_SOFTWARE);
}

/* Its child is left to the keeper, and has the other end of a stored channel. */
static void
die_with_a_worker(int keeper, int report)
{
    int ends[2];
    char byte;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        _exit(96);
    store(keeper, "channel", ends[0]);
    (void)pf_notify_send(keeper, "READY=1\n");
    if (fork() == 0) {
        (void)close(ends[0]);
        (void)!read(ends[1], &byte, 1); /* until nobody holds the other end any more */
        (void)dprintf(report, "the worker has left\n");
        _exit(0);
    }
    (void)close(ends[0]);
    (void)raise(SIGKILL);
}

static void
workers_leave_when_there_will_be_no_master(void **state)
{
    struct running r = start("stop", die_with_a_worker);

    (void)state;
    expect_line(&r, "the worker has left\n");
    (void)status_of(&r);
}

/* Whatever is in the variable. */
static void
only_a_keeper_s_child_has_one(void **state)
{
    static const char *const texts[] = {"", "x", "-1", "0", "9999", "99999999999999999999"};
    int ends[2];
    char text[16];

    (void)state;
    unsetenv("PREFORK_KEEPER");
    assert_int_equal(pf_keeper_join(), -1);
    for (size_t i = 0; i < PF_COUNT(texts); i++) {
        (void)setenv("PREFORK_KEEPER", texts[i], 1);
        assert_int_equal(pf_keeper_join(), -1);
        assert_null(getenv("PREFORK_KEEPER"));
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    (void)snprintf(text, sizeof text, "%d", ends[0]);
    (void)setenv("PREFORK_KEEPER", text, 1);
    assert_int_equal(pf_keeper_join(), -1); /* it was made here, and not by the parent */
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_master_has_what_the_last_one_stored),
        cmocka_unit_test(a_failed_start_is_the_end),
        cmocka_unit_test(a_keeper_ends_like_its_master),
        cmocka_unit_test(a_full_shelf_holds_what_it_has),
        cmocka_unit_test(masters_that_fail_are_started_ever_less_often),
        cmocka_unit_test(without_an_executable_it_is_the_end),
        cmocka_unit_test(workers_leave_when_there_will_be_no_master),
        cmocka_unit_test(only_a_keeper_s_child_has_one),
    };
    const char *part = getenv(PART);

    if (part && getenv("PREFORK_KEEPER"))
        return be_next_master(part);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
