/* One at a time, whatever the kind, and never for ever. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "link/turn.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const enum pf_turn_kind kinds[] = {PF_TURN_FLOCK, PF_TURN_SEMAPHORE, PF_TURN_PIPE};

/* A process that tries for the turn, says whether it has it, and then waits to be told. */
struct peer {
    pid_t pid;
    int says; /* 1 byte: has it or has it not */
    int told; /* 1 byte: give it back, if it is had, and end */
};

static void
live(struct pf_turn *t, int says, int told)
{
    char has = (char)pf_turn_take(t);
    char unused;

    if (write(says, &has, 1) != 1 || read(told, &unused, 1) != 1)
        _exit(1);
    if (has)
        pf_turn_give(t);
    _exit(0);
}

static struct peer
start(struct pf_turn *t)
{
    int says[2];
    int told[2];
    struct peer p;

    assert_int_equal(pipe(says), 0);
    assert_int_equal(pipe(told), 0);
    p.pid = fork();
    assert_true(p.pid >= 0);
    if (p.pid == 0)
        live(t, says[1], told[0]);
    (void)close(says[1]);
    (void)close(told[0]);
    p.says = says[0];
    p.told = told[1];
    return p;
}

static bool
has_it(const struct peer *p)
{
    char has = 0;

    assert_int_equal(read(p->says, &has, 1), 1);
    return has != 0;
}

static void
end(struct peer *p, int signum)
{
    if (signum != 0)
        assert_int_equal(kill(p->pid, signum), 0);
    else
        assert_int_equal(write(p->told, "x", 1), 1);
    (void)close(p->told);
    assert_int_equal(waitpid(p->pid, NULL, 0), p->pid);
    (void)close(p->says);
}

static bool
rings(const struct pf_turn *t)
{
    struct pollfd p = {.fd = t->bell, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void
one_at_a_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(kinds); i++) {
        struct pf_turn t;
        struct peer first;
        struct peer second;
        assert_int_equal(pf_turn_open(&t, kinds[i], NULL, NULL), 0);
        first = start(&t);
        assert_true(has_it(&first));
        second = start(&t);
        assert_false(has_it(&second));
        assert_false(rings(&t));
        end(&first, 0);
        assert_true(rings(&t));
        end(&second, 0);
        second = start(&t);
        assert_true(has_it(&second));
        end(&second, 0);
        pf_turn_close(&t);
    }
}

/* Killed with the turn, or without it: the next one gets it, and only one does. */
static void
the_dead_do_not_keep_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(kinds); i++) {
        struct pf_turn t;
        struct peer holder;
        struct peer other;
        assert_int_equal(pf_turn_open(&t, kinds[i], NULL, NULL), 0);
        for (int round = 0; round < 5; round++) {
            holder = start(&t);
            assert_true(has_it(&holder));
            other = start(&t);
            assert_false(has_it(&other));
            end(&other, SIGKILL);
            pf_turn_mend(&t, other.pid);
            other = start(&t);
            assert_false(has_it(&other));
            end(&holder, SIGKILL);
            pf_turn_mend(&t, holder.pid);
            assert_true(rings(&t));
            end(&other, 0);
        }
        pf_turn_close(&t);
    }
}

/* A token too many is dropped as soon as somebody gives one back. */
static void
two_tokens_become_one(void **state)
{
    struct pf_turn t;

    (void)state;
    assert_int_equal(pf_turn_open(&t, PF_TURN_PIPE, NULL, NULL), 0);
    assert_true(pf_turn_take(&t));
    pf_turn_mend(&t, getpid()); /* as if this process were dead: a second token */
    pf_turn_give(&t);
    assert_true(pf_turn_take(&t));
    assert_false(pf_turn_take(&t));
    pf_turn_close(&t);
}

static void
a_named_lock_file_is_left_as_it_is(void **state)
{
    char path[] = "/tmp/turn-test.XXXXXX";
    int fd = mkstemp(path);
    struct pf_turn t;
    char text[8] = "";

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "kept", 4), 4);
    assert_int_equal(pf_turn_open(&t, PF_TURN_FLOCK, path, NULL), 0);
    assert_true(pf_turn_take(&t));
    pf_turn_give(&t);
    pf_turn_close(&t);
    assert_int_equal(pread(fd, text, sizeof text, 0), 4);
    assert_string_equal(text, "kept");
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
}

static void
a_lock_file_that_cannot_be_is_refused(void **state)
{
    struct pf_error error = {0};
    struct pf_turn t;

    (void)state;
    assert_true(pf_turn_open(&t, PF_TURN_FLOCK, "/no/such/directory/x", &error) < 0);
    assert_non_null(strstr(error.text, "lock_file /no/such/directory/x: No such file"));
    pf_turn_close(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(the_dead_do_not_keep_it),
        cmocka_unit_test(two_tokens_become_one),
        cmocka_unit_test(a_named_lock_file_is_left_as_it_is),
        cmocka_unit_test(a_lock_file_that_cannot_be_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
