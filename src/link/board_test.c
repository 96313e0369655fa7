/* The board: the idle count, the one wake-up per crossing, deaths at every step, and what
 * a worker's page is worth to its neighbours. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "link/board.h"
#include "os/share.h"
#include "os/wake.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOTS = 4 };

#define ONE_CHANGE ((uint64_t)1 << 32)

struct fixture {
    struct pf_board board;
    struct pf_board_seat seats[SLOTS];
    int bell;
};

static void
open(struct fixture *f)
{
    assert_int_equal(pf_board_open(&f->board, SLOTS), 0);
    f->bell = pf_wake_open();
    assert_true(f->bell >= 0);
    for (unsigned i = 0; i < SLOTS; i++) {
        assert_null(pf_board_slot(&f->board, i));
        assert_int_equal(pf_board_fresh(&f->board, i), 0);
        f->seats[i] =
            (struct pf_board_seat){pf_board_slot(&f->board, i), f->board.hints, f->bell};
    }
}

static void
shut(struct fixture *f)
{
    pf_board_close(&f->board);
    (void)close(f->bell);
}

/* Did the bell ring since the last call? */
static bool
rang(struct fixture *f)
{
    uint64_t count;
    ssize_t n = read(f->bell, &count, sizeof count);

    return n > 0;
}

static void
all_idle(struct fixture *f)
{
    for (unsigned i = 0; i < SLOTS; i++)
        pf_board_say_idle(&f->seats[i], 1);
}

static void
idle_is_counted(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    all_idle(&f);
    pf_board_say_idle(&f.seats[0], 2); /* twice is once */
    assert_int_equal(pf_board_idle(&f.board), SLOTS);
    pf_board_say_busy(&f.seats[0], 3, 1);
    pf_board_say_busy(&f.seats[0], 4, 1);
    assert_int_equal(pf_board_idle(&f.board), SLOTS - 1);
    assert_int_equal(f.seats[0].slot->requests, 1);
    assert_int_equal(f.seats[0].slot->since, 3);
    pf_board_say_spent(&f.seats[0]);
    assert_int_equal(pf_board_idle(&f.board), SLOTS - 1);
    shut(&f);
}

static void
who_works_apart_is_never_idle(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    pf_board_forget(&f.board, 0); /* as the master does at its birth */
    pf_board_say_apart(&f.seats[0]);
    pf_board_say_idle(&f.seats[1], 1);
    pf_board_audit(&f.board, SLOTS);
    assert_int_equal(pf_board_idle(&f.board), 1);
    atomic_store(&f.seats[0].slot->state, PF_BOARD_IDLE); /* it lies */
    pf_board_audit(&f.board, SLOTS);
    assert_int_equal(pf_board_idle(&f.board), 1);
    shut(&f);
}

static void
each_word_is_counted_and_wakes(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    for (uint32_t words = 1; words <= 3; words++) {
        pf_board_say_spoke(&f.seats[2]);
        assert_int_equal(f.seats[2].slot->words, words);
        assert_true(rang(&f));
    }
    assert_int_equal(f.seats[2].slot->wants_stop, 0);
    pf_board_say_wants_stop(&f.seats[2]);
    assert_int_equal(f.seats[2].slot->wants_stop, PF_BOARD_STOP);
    assert_int_equal(f.seats[2].slot->words, 4);
    assert_true(rang(&f));
    shut(&f);
}

static void
the_lowest_is_kept(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    all_idle(&f);
    assert_int_equal(pf_board_take_lowest(&f.board), UINT32_MAX);
    pf_board_say_busy(&f.seats[0], 1, 1);
    pf_board_say_busy(&f.seats[1], 1, 1);
    pf_board_say_idle(&f.seats[0], 2);
    pf_board_say_idle(&f.seats[1], 2);
    assert_int_equal(pf_board_take_lowest(&f.board), SLOTS - 2);
    assert_int_equal(pf_board_take_lowest(&f.board), UINT32_MAX);
    shut(&f);
}

static void
crossing_wakes_once(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    all_idle(&f);
    assert_false(pf_board_arm(&f.board, 3, false));
    pf_board_say_busy(&f.seats[0], 1, 1);
    assert_false(rang(&f)); /* three are idle: not below */
    pf_board_say_busy(&f.seats[1], 1, 1);
    assert_true(rang(&f));
    pf_board_say_busy(&f.seats[2], 1, 1);
    assert_false(rang(&f)); /* the bound is gone until the master sets it */
    assert_true(pf_board_arm(&f.board, 3, false));
    assert_false(rang(&f)); /* the caller was told */
    pf_board_arm(&f.board, 0, false);
    pf_board_say_busy(&f.seats[3], 1, 1);
    assert_false(rang(&f));
    shut(&f);
}

static void
readiness_wakes_once_if_wanted(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    pf_board_arm(&f.board, 0, false);
    pf_board_say_idle(&f.seats[0], 1);
    assert_false(rang(&f));
    pf_board_arm(&f.board, 0, true);
    pf_board_say_idle(&f.seats[1], 1);
    assert_true(rang(&f));
    pf_board_say_idle(&f.seats[2], 1);
    assert_false(rang(&f));
    pf_board_arm(&f.board, 0, true);
    pf_board_say_busy(&f.seats[0], 1, 1);
    pf_board_say_idle(&f.seats[0], 1);
    assert_false(rang(&f)); /* it was ready before */
    shut(&f);
}

static void
wishes_are_told_once(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    pf_board_say_wants_leave(&f.seats[0]);
    assert_true(rang(&f));
    pf_board_say_wants_leave(&f.seats[0]);
    assert_false(rang(&f));
    shut(&f);
}

static void
a_broken_log_is_told_once(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    pf_board_say_outlet(&f.board, PF_OUTLET_LOG, 8);
    assert_int_equal(f.seats[1].hints->outlet_marks[PF_OUTLET_LOG], 8);
    assert_int_equal(pf_board_take_log_broken(&f.board), 0);
    pf_board_say_log_broken(&f.seats[0], 8);
    assert_true(rang(&f));
    pf_board_say_log_broken(&f.seats[1], 8);
    assert_false(rang(&f));
    assert_int_equal(pf_board_take_log_broken(&f.board), 8);
    assert_int_equal(pf_board_take_log_broken(&f.board), 0);
    pf_board_say_log_broken(&f.seats[1], 16);
    assert_true(rang(&f));
    shut(&f);
}

/* Whoever leaves may take long for it: the last one that is really idle still wakes the
 * master when it goes busy. */
static void
who_leaves_is_not_idle(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    all_idle(&f);
    assert_false(pf_board_arm(&f.board, 1, false));
    for (unsigned i = 1; i < SLOTS; i++)
        pf_board_say_leaving(&f.seats[i], 2);
    assert_int_equal(pf_board_idle(&f.board), 1);
    assert_false(rang(&f));
    pf_board_say_leaving(&f.seats[1], 3); /* twice is once */
    pf_board_say_busy(&f.seats[0], 4, 1);
    assert_true(rang(&f));
    pf_board_say_leaving(&f.seats[0], 5); /* busy: not counted before */
    assert_int_equal(pf_board_idle(&f.board), 0);
    shut(&f);
}

/* ---- deaths
 * --------------------------------------------------------------------------------- */

static const struct death {
    const char *name;
    enum pf_board_state state;
    int changed; /* what the dead one had done to the count beyond idle of its state */
} deaths[] = {
    {"starting", PF_BOARD_STARTING, 0},
    {"going idle, not counted", PF_BOARD_TO_IDLE, 0},
    {"going idle, counted", PF_BOARD_TO_IDLE, 1},
    {"idle", PF_BOARD_IDLE, 1},
    {"going busy, counted", PF_BOARD_TO_BUSY, 1},
    {"going busy, not counted", PF_BOARD_TO_BUSY, 0},
    {"busy", PF_BOARD_BUSY, 0},
    {"spent", PF_BOARD_SPENT, 0},
    {"nonsense", (enum pf_board_state)77, 0},
};

static void
the_count_survives_every_death(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(deaths); i++) {
        struct fixture f;
        open(&f);
        for (unsigned k = 1; k < SLOTS; k++)
            pf_board_say_idle(&f.seats[k], 1);
        f.seats[0].slot->state = deaths[i].state;
        if (deaths[i].changed)
            atomic_fetch_add(&f.board.hints->idle, ONE_CHANGE + 1);
        pf_board_forget(&f.board, 0);
        pf_board_audit(&f.board, SLOTS);
        if (pf_board_idle(&f.board) != SLOTS - 1)
            fail_msg("%s: %u", deaths[i].name, pf_board_idle(&f.board));
        shut(&f);
    }
}

static void
an_audit_waits_for_quiet(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    all_idle(&f);
    f.board.hints->idle = 99;
    f.seats[0].slot->state = PF_BOARD_TO_BUSY;
    pf_board_audit(&f.board, SLOTS);
    assert_int_equal(pf_board_idle(&f.board), 99);
    f.seats[0].slot->state = PF_BOARD_BUSY;
    pf_board_audit(&f.board, SLOTS);
    assert_int_equal(pf_board_idle(&f.board), SLOTS - 1);
    shut(&f);
}

static void
a_fresh_page_starts_again(void **state)
{
    struct fixture f;

    (void)state;
    open(&f);
    all_idle(&f);
    pf_board_forget(&f.board, 0);
    assert_int_equal(pf_board_idle(&f.board), SLOTS - 1);
    pf_board_forget(&f.board, 0); /* twice is once */
    assert_int_equal(pf_board_idle(&f.board), SLOTS - 1);
    assert_int_equal(pf_board_fresh(&f.board, 0), 0);
    assert_int_equal(pf_board_slot(&f.board, 0)->state, PF_BOARD_STARTING);
    assert_null(pf_board_slot(&f.board, SLOTS));
    shut(&f);
}

/* ---- in another process
 * ----------------------------------------------------------------------- */

/* Fork as master/spawn.c does: everybody else's page is kept from the child. */
static pid_t
fork_into(struct fixture *f, unsigned slot)
{
    pid_t pid;

    assert_int_equal(pf_board_fresh(&f->board, slot), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        f->seats[slot].slot = pf_board_claim(f->board.pages.fd, slot);
    return pid;
}

/* A fault is to end the child silently, under a sanitizer too. */
static void
die_of_faults(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
}

static int
end_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void
a_neighbours_page_is_out_of_reach(void **state)
{
    struct fixture f;
    pid_t pid;
    int status;

    (void)state;
    open(&f);
    pid = fork_into(&f, 1);
    if (pid == 0) {
        die_of_faults();
        atomic_store((volatile _Atomic uint32_t *)&f.seats[0].slot->state, PF_BOARD_BUSY);
        _exit(0);
    }
    status = end_of(pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    assert_int_equal(f.seats[0].slot->state, PF_BOARD_STARTING);
    shut(&f);
}

static void
a_scribbler_harms_nobody(void **state)
{
    struct fixture f;
    pid_t pid;

    (void)state;
    open(&f);
    for (unsigned i = 0; i < SLOTS; i++) {
        if (i != 1)
            pf_board_say_idle(&f.seats[i], 1);
    }
    pid = fork_into(&f, 1);
    if (pid == 0) {
        memset((void *)f.seats[1].slot, 0xff, pf_share_page_bytes());
        memset((void *)f.board.hints, 0xff, sizeof *f.board.hints);
        _exit(0);
    }
    assert_int_equal(end_of(pid), 0);
    for (unsigned i = 0; i < SLOTS; i++)
        assert_int_equal(pf_board_slot(&f.board, i)->state,
                         i == 1 ? UINT32_MAX : (uint32_t)PF_BOARD_IDLE);
    pf_board_forget(&f.board, 1);
    pf_board_audit(&f.board, SLOTS);
    assert_int_equal(pf_board_idle(&f.board), SLOTS - 1);
    shut(&f);
}

static void
a_worker_and_its_master_see_the_same_page(void **state)
{
    struct fixture f;
    pid_t pid;

    (void)state;
    open(&f);
    pf_board_arm(&f.board, 0, true);
    pid = fork_into(&f, 2);
    if (pid == 0) {
        pf_board_say_idle(&f.seats[2], 5);
        pf_board_say_busy(&f.seats[2], 6, 1);
        _exit(0);
    }
    assert_int_equal(end_of(pid), 0);
    assert_true(rang(&f));
    assert_int_equal(pf_board_slot(&f.board, 2)->state, PF_BOARD_BUSY);
    assert_int_equal(pf_board_slot(&f.board, 2)->requests, 1);
    shut(&f);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_is_counted),
        cmocka_unit_test(who_works_apart_is_never_idle),
        cmocka_unit_test(each_word_is_counted_and_wakes),
        cmocka_unit_test(the_lowest_is_kept),
        cmocka_unit_test(crossing_wakes_once),
        cmocka_unit_test(readiness_wakes_once_if_wanted),
        cmocka_unit_test(wishes_are_told_once),
        cmocka_unit_test(a_broken_log_is_told_once),
        cmocka_unit_test(who_leaves_is_not_idle),
        cmocka_unit_test(the_count_survives_every_death),
        cmocka_unit_test(an_audit_waits_for_quiet),
        cmocka_unit_test(a_fresh_page_starts_again),
        cmocka_unit_test(a_neighbours_page_is_out_of_reach),
        cmocka_unit_test(a_scribbler_harms_nobody),
        cmocka_unit_test(a_worker_and_its_master_see_the_same_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
