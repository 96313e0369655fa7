/* Signals as facts, and that nothing of it is left behind. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "os/signal.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

static const int listened[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGTTIN, SIGTTOU};

static void
signals_are_read_and_interrupt_nothing(void **state)
{
    unsigned seen = 0;
    pid_t sender = 0;
    int signum;
    int fd = pf_signal_open(0);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(pf_signal_next(fd, &sender), 0);
    for (size_t i = 0; i < PF_COUNT(listened); i++) {
        (void)raise(listened[i]);
        (void)raise(listened[i]); /* twice before it is read is once */
    }
    while ((signum = pf_signal_next(fd, &sender)) != 0)
        seen |= 1u << signum;
    for (size_t i = 0; i < PF_COUNT(listened); i++)
        assert_true(seen & 1u << listened[i]);
    pf_signal_close(&fd);
    assert_int_equal(fd, -1);
    pf_signal_forget();
}

static bool
same_set(const sigset_t *a, const sigset_t *b)
{
    for (int signum = 1; signum < 32; signum++) {
        if (sigismember(a, signum) != sigismember(b, signum))
            return false;
    }
    return true;
}

static void
mask_and_dispositions_come_back(void **state)
{
    struct sigaction pipe_before = {.sa_handler = SIG_DFL};
    struct sigaction pipe_now;
    sigset_t before;
    sigset_t now;
    int fd;

    (void)state;
    (void)sigemptyset(&before);
    (void)sigaddset(&before, SIGUSR1); /* somebody's own wish */
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)sigaction(SIGPIPE, &pipe_before, NULL);
    fd = pf_signal_open(0);
    (void)sigaction(SIGPIPE, NULL, &pipe_now);
    assert_true(pipe_now.sa_handler == SIG_IGN);
    pf_signal_close(&fd);
    pf_signal_forget();
    pf_signal_forget(); /* once is enough */
    (void)sigprocmask(SIG_SETMASK, NULL, &now);
    assert_true(same_set(&before, &now));
    (void)sigaction(SIGPIPE, NULL, &pipe_now);
    assert_true(pipe_now.sa_handler == SIG_DFL);
    (void)sigemptyset(&before);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
}

static void
leave(int signum)
{
    _exit(100 + signum);
}

static void
a_worker_ends_by_its_handler(void **state)
{
    static const int ends[] = {SIGTERM, SIGINT, SIGQUIT};

    (void)state;
    for (size_t i = 0; i < PF_COUNT(ends); i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            pf_signal_handle_end(leave);
            pf_signal_ignore(SIGPIPE);
            (void)raise(SIGPIPE);
            (void)raise(ends[i]);
            _exit(1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WEXITSTATUS(status), 100 + ends[i]);
    }
}

static void
other_signals_are_read_too(void **state)
{
    const pf_signal_set more =
        (pf_signal_set)1 << (SIGWINCH - 1) | (pf_signal_set)1 << (SIGRTMIN + 2 - 1);
    int fd = pf_signal_open(more);
    pid_t sender = 0;

    (void)state;
    (void)raise(SIGWINCH);
    assert_int_equal(pf_signal_next(fd, &sender), SIGWINCH);
    assert_int_equal(sender, getpid());
    (void)raise(SIGRTMIN + 2);
    assert_int_equal(pf_signal_next(fd, &sender), SIGRTMIN + 2);
    assert_int_equal(pf_signal_next(fd, &sender), 0);
    pf_signal_close(&fd);
    pf_signal_forget();
}

static void
only_defaults_are_ignored(void **state)
{
    struct sigaction now;

    (void)state;
    (void)signal(SIGUSR2, leave);
    pf_signal_ignore(SIGUSR2);
    pf_signal_ignore(SIGTTIN);
    (void)sigaction(SIGUSR2, NULL, &now);
    assert_true(now.sa_handler == leave && !pf_signal_is_ignored(SIGUSR2));
    (void)sigaction(SIGTTIN, NULL, &now);
    assert_true(now.sa_handler == SIG_IGN && pf_signal_is_ignored(SIGTTIN));
    (void)signal(SIGUSR2, SIG_DFL);
    (void)signal(SIGTTIN, SIG_DFL);
}

static void
names(void **state)
{
    (void)state;
    assert_string_equal(pf_signal_name(SIGTERM), "TERM");
    assert_string_equal(pf_signal_name(SIGTTIN), "TTIN");
    assert_string_equal(pf_signal_name(9999), "unknown");
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_are_read_and_interrupt_nothing),
        cmocka_unit_test(mask_and_dispositions_come_back),
        cmocka_unit_test(a_worker_ends_by_its_handler),
        cmocka_unit_test(other_signals_are_read_too),
        cmocka_unit_test(only_defaults_are_ignored),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
