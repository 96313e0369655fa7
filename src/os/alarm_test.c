/* A deadline that raises a signal, and signals that a person and a timer send. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "os/alarm.h"
#include "os/clock.h"
#include "os/signal.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t last;
static volatile sig_atomic_t timed;
static volatile sig_atomic_t count;

static void
take(int signum, bool by_timer)
{
    last = signum;
    timed = by_timer;
    count++;
}

static void
wait_for(int number)
{
    for (unsigned i = 0; i < 100000 && count < number; i++)
        (void)usleep(100); /* or the signal comes earlier */
    assert_true(count >= number);
}

static void
test_alarm(void **state)
{
    struct pf_alarm a = {.is_open = false};
    pf_time now;

    (void)state;
    count = 0;
    pf_signal_catch(take);
    assert_int_equal(pf_alarm_open(&a, SIGTERM), 0);
    now = pf_clock_now();
    pf_alarm_set(&a, now + 20 * PF_MILLISECOND);
    wait_for(1);
    assert_true(pf_clock_now() >= now + 20 * PF_MILLISECOND);
    assert_int_equal(last, SIGTERM);
    assert_true(timed);
    pf_alarm_set(&a, 0); /* over long ago */
    wait_for(2);
    (void)raise(SIGQUIT);
    wait_for(3);
    assert_int_equal(last, SIGQUIT);
    assert_false(timed);
    pf_alarm_set(&a, pf_clock_now() + PF_SECOND);
    pf_alarm_set(&a, PF_NEVER);
    pf_alarm_close(&a);
    pf_alarm_close(&a);
    pf_signal_let_go();
    (void)raise(SIGTERM); /* late: blocked, and dropped */
    pf_signal_drain();
    pf_signal_forget();
    assert_int_equal(count, 3);
}

static void
test_let_go(void **state)
{
    struct sigaction before = {.sa_handler = SIG_IGN};
    struct sigaction after;
    sigset_t blocked;
    sigset_t mask;

    (void)state;
    (void)sigaction(SIGHUP, &before, NULL);
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &blocked, NULL);
    count = 0;
    pf_signal_catch(take);
    (void)raise(SIGTERM); /* whoever started us may have blocked it */
    (void)raise(SIGHUP);
    assert_int_equal(count, 2);
    pf_signal_let_go();
    pf_signal_forget();
    (void)sigaction(SIGHUP, NULL, &after);
    assert_true(after.sa_handler == SIG_IGN);
    (void)sigprocmask(SIG_SETMASK, NULL, &mask);
    assert_true(sigismember(&mask, SIGTERM));
    (void)sigprocmask(SIG_UNBLOCK, &blocked, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alarm),
        cmocka_unit_test(test_let_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
