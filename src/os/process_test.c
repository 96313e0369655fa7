/* Processes: born, signalled with what they started, reaped once. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "os/clock.h"
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void
await_end(const struct pf_process *p)
{
    assert_true(pf_process_ends_by(p, pf_clock_now() + 30 * PF_SECOND));
}

static int
reap(struct pf_process *p)
{
    int status = -1;

    await_end(p);
    assert_int_equal(pf_process_reap(p, &status), 0);
    assert_int_equal(p->pidfd, -1);
    return status;
}

static void
a_child_is_reaped_once_it_ended(void **state)
{
    struct pf_process p;
    int gate[2];
    int status;
    int r;

    (void)state;
    assert_int_equal(pipe(gate), 0);
    r = pf_process_fork(&p);
    if (r == 0) {
        char byte;
        (void)close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 7 : 1);
    }
    assert_int_equal(r, 1);
    assert_int_equal(pf_process_reap(&p, &status), -EAGAIN);
    (void)close(gate[0]);
    (void)close(gate[1]);
    status = reap(&p);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void
whom_somebody_else_reaped_is_ended(void **state)
{
    struct pf_process p;
    int status = -1;
    int r = pf_process_fork(&p);

    (void)state;
    if (r == 0)
        _exit(3);
    assert_int_equal(waitpid(p.pid, NULL, 0), p.pid);
    assert_int_equal(pf_process_reap(&p, &status), 0);
    assert_int_equal(status, 0);
}

/* A child that leads its group and has a child of its own; both hold the pipe's writing
 * end, so its end of file says that both are gone. */
static struct pf_process
start_family(int *ret_gone)
{
    struct pf_process p;
    int gone[2];
    char byte;

    assert_int_equal(pipe(gone), 0);
    if (pf_process_fork(&p) == 0) {
        pf_process_lead_group();
        if (fork() == 0)
            (void)!write(gone[1], "x", 1);
        for (;;)
            (void)pause();
    }
    (void)close(gone[1]);
    assert_int_equal(read(gone[0], &byte, 1), 1);
    *ret_gone = gone[0];
    return p;
}

static void
a_signal_reaches_the_whole_group(void **state)
{
    int gone;
    struct pf_process p = start_family(&gone);
    char byte;
    int status;

    (void)state;
    pf_process_signal(&p, SIGKILL);
    status = reap(&p);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(read(gone, &byte, 1), 0);
    (void)close(gone);
}

static void
a_signal_reaches_one_alone(void **state)
{
    int gone;
    struct pf_process p = start_family(&gone);
    struct pf_process group = p;
    int status;

    (void)state;
    assert_int_equal(fcntl(gone, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(pf_process_signal_alone(&p, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)p.pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
    assert_int_equal(pf_process_signal_alone(&p, 0), 0); /* dead, but not reaped */
    assert_int_equal(read(gone, &(char){0}, 1), -1);     /* the child lives */
    pf_process_signal(&group, SIGKILL);
    status = reap(&p);
    assert_true(WIFSIGNALED(status));
    (void)close(gone);
}

static void
a_signal_reaches_who_leads_no_group(void **state)
{
    struct pf_process p;
    int status;

    (void)state;
    if (pf_process_fork(&p) == 0) {
        for (;;)
            (void)pause();
    }
    pf_process_signal(&p, SIGKILL);
    status = reap(&p);
    assert_true(WIFSIGNALED(status));
    pf_process_signal(&p, SIGKILL); /* nobody there: fine */
}

/* Of which nothing but its end can be seen. */
static void
one_of_another_parent_is_adopted(void **state)
{
    struct pf_process child;
    struct pf_process p;
    int status = -1;
    uint64_t start;
    int gate[2];
    int r;

    (void)state;
    assert_int_equal(pipe(gate), 0);
    r = pf_process_fork(&child);
    if (r == 0) {
        char byte;
        (void)close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 7 : 1);
    }
    start = pf_process_start_time(child.pid);
    assert_true(start > 0 && start >= pf_process_start_time(getpid()));
    assert_int_equal(pf_process_adopt(child.pid, start + 1, &p), -ESRCH);
    assert_int_equal(pf_process_adopt(child.pid, 0, &p), -ESRCH);
    assert_int_equal(pf_process_adopt(child.pid, start, &p), 0);
    assert_int_equal(pf_process_reap(&p, &status), -EAGAIN);
    (void)close(gate[0]);
    (void)close(gate[1]);
    assert_int_equal(reap(&p), 0);
    assert_int_equal(pf_process_adopt(child.pid, start, &p),
                     -ESRCH); /* ended, not reaped */
    assert_int_equal(WEXITSTATUS(reap(&child)), 7);
    assert_int_equal(pf_process_adopt(child.pid, start, &p), -ESRCH);
    assert_int_equal(pf_process_start_time(child.pid), 0);
}

static void
all_children_are_reaped(void **state)
{
    struct pf_process child;
    int gate[2];
    int r;

    (void)state;
    assert_int_equal(pipe(gate), 0);
    r = pf_process_fork(&child);
    if (r == 0) {
        char byte;
        (void)close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
    }
    assert_true(pf_process_reap_children());
    (void)close(gate[0]);
    (void)close(gate[1]);
    await_end(&child);
    assert_false(pf_process_reap_children());
}

/* A child that ends when its end of the pipe does. */
static struct pf_process
start_waiting(int (*fork_it)(struct pf_process *ret_child), int *ret_gate)
{
    struct pf_process child;
    int gate[2];
    int r;

    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    r = fork_it(&child);
    if (r == 0) {
        char byte;
        (void)close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 7 : 1);
    }
    assert_int_equal(r, 1);
    (void)close(gate[0]);
    *ret_gate = gate[1];
    return child;
}

static void
who_ended_is_named_until_it_is_reaped(void **state)
{
    struct pf_process first, second;
    int gates[2];

    (void)state;
    first = start_waiting(pf_process_fork, &gates[0]);
    second = start_waiting(pf_process_fork, &gates[1]);
    assert_int_equal(pf_process_ended(), 0);
    assert_false(pf_process_ends_by(&first, 0));
    (void)close(gates[0]);
    (void)close(gates[1]);
    await_end(&first);
    await_end(&second);
    for (unsigned left = 2; left > 0; left--) {
        pid_t pid = pf_process_ended();
        assert_true(pid == first.pid || pid == second.pid);
        assert_int_equal(pf_process_ended(), pid);
        assert_int_equal(WEXITSTATUS(reap(pid == first.pid ? &first : &second)), 7);
    }
    assert_int_equal(pf_process_ended(), 0);
    assert_true(pf_process_ends_by(&first, 0));
    assert_int_equal(pf_process_signal_alone(&first, SIGTERM), -ESRCH);
}

static void
one_that_is_watched_has_a_descriptor(void **state)
{
    int gate;
    struct pf_process child = start_waiting(pf_process_fork_watched, &gate);

    (void)state;
    assert_true(child.pidfd >= 0);
    assert_int_equal(pf_process_signal_alone(&child, SIGKILL), 0);
    assert_true(WIFSIGNALED(reap(&child)));
    assert_int_equal(child.pidfd, -1);
    (void)close(gate);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_is_reaped_once_it_ended),
        cmocka_unit_test(whom_somebody_else_reaped_is_ended),
        cmocka_unit_test(one_of_another_parent_is_adopted),
        cmocka_unit_test(all_children_are_reaped),
        cmocka_unit_test(who_ended_is_named_until_it_is_reaped),
        cmocka_unit_test(one_that_is_watched_has_a_descriptor),
        cmocka_unit_test(a_signal_reaches_the_whole_group),
        cmocka_unit_test(a_signal_reaches_one_alone),
        cmocka_unit_test(a_signal_reaches_who_leads_no_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
