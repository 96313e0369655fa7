/* Workers, from fork to exit.
 *
 * They say on the board what they do with the real functions of link/board.c, and go
 * through the same steps as src/worker/serve.c: the channel is looked at before the
 * listener, requests to leave are obeyed between connections, max_requests is announced at
 * the soft limit and kept at the hard one. Everything else about a life is its fate.
 *
 * The listener wakes one sleeper per connection (EPOLLEXCLUSIVE): the one that fell asleep
 * last (hot) or first (fair). A wake-up is an event of its own: between it and the accept
 * anything may happen to the woken one. */
#include "sim.h"
#include "worker/worker.h"

#include <signal.h>

#define INDEX(p) ((unsigned)((p)-sim.processes))

bool
sim_process_alive(const struct sim_process *p)
{
    return p->state > SIM_UNBORN && p->state < SIM_DEAD;
}

/* Its next step comes after this span; whatever was to come before is void. */
static void
go_on(struct sim_process *p, enum sim_state state, pf_time span)
{
    bool was_woken = p->state == SIM_WOKEN && p->for_connection;
    bool is_woken = state == SIM_WOKEN && p->for_connection;

    sim.woken += (unsigned)is_woken - (unsigned)was_woken;
    if ((state == SIM_ENDING || state == SIM_DEAD) && !p->ends) {
        p->ends = true;
        sim.ending++;
    }
    p->state = state;
    p->stamp++;
    sim_at(pf_time_after(sim.now, span), SIM_EVENT_PROCESS, INDEX(p), p->stamp);
}

static pf_time
coarse_now(void)
{
    return sim.now - sim_span(0, 4 * PF_MILLISECOND);
}

/* ---- sleeping -------------------------------------------------------------------------
 */

static void
fall_asleep(struct sim_process *p)
{
    bool fair = sim.recipe.accept_order == PF_ACCEPT_FAIR;
    unsigned index = INDEX(p);
    unsigned *end = fair ? &sim.sleeper_last : &sim.sleeper_first;
    unsigned *other = fair ? &sim.sleeper_first : &sim.sleeper_last;

    go_on(p, SIM_ASLEEP, PF_NEVER);
    if (!p->listens)
        return;
    sim.asleep++;
    p->next = fair ? SIM_NOBODY : *end;
    p->before = fair ? *end : SIM_NOBODY;
    if (*end == SIM_NOBODY)
        *other = index;
    else if (fair)
        sim.processes[*end].next = index;
    else
        sim.processes[*end].before = index;
    *end = index;
}

static void
get_up(struct sim_process *p)
{
    if (p->state != SIM_ASLEEP || !p->listens)
        return;
    sim.asleep--;
    if (p->before == SIM_NOBODY)
        sim.sleeper_first = p->next;
    else
        sim.processes[p->before].next = p->next;
    if (p->next == SIM_NOBODY)
        sim.sleeper_last = p->before;
    else
        sim.processes[p->next].before = p->before;
}

static void
wake(struct sim_process *p, bool for_connection)
{
    get_up(p);
    p->state = SIM_INIT; /* neither nor */
    p->for_connection = for_connection;
    go_on(p, SIM_WOKEN, sim_span(2, 60));
}

void
sim_process_pass(void)
{
    sim.passed = true;
    sim_process_wake_one();
}

void
sim_process_wake_one(void)
{
    if (sim.sleeper_first != SIM_NOBODY)
        wake(&sim.processes[sim.sleeper_first], true);
}

/* ---- the board --------------------------------------------------------------------------
 */

static void
count_idle(struct sim_process *p, bool idle)
{
    if (p->idle != idle)
        sim.idle += idle ? 1 : -1;
    p->idle = idle;
}

void
sim_process_forget(unsigned index)
{
    sim.ending -= sim.processes[index].ends;
    count_idle(&sim.processes[index], false);
}

static void
say_idle(struct sim_process *p)
{
    p->was_ready = true;
    if (p->foreign)
        return;
    pf_board_say_idle(&p->seat, coarse_now());
    count_idle(p, true);
}

static void
say_busy(struct sim_process *p)
{
    if (p->foreign)
        return;
    pf_board_say_busy(&p->seat, coarse_now(), 1);
    count_idle(p, false);
}

/* As pf_worker_end(). */
static void
say_leaving(struct sim_process *p)
{
    if (p->dequeue)
        return;
    pf_board_say_leaving(&p->seat, coarse_now());
    count_idle(p, false);
}

/* ---- the end
 * ------------------------------------------------------------------------------ */

static unsigned *
alive_of(const struct sim_process *p)
{
    return p->dequeue ? &sim.dequeues : &sim.alive;
}

static void
die(struct sim_process *p, int status)
{
    get_up(p);
    p->status = status;
    p->worker_end_open = false;
    --*alive_of(p);
    go_on(p, SIM_DEAD, sim_span(0, 80));
    sim_fd_touch(p->master_end);
}

static int
killed_by(int signum)
{
    return signum;
}

static int
exited(int status)
{
    return status << 8;
}

/* child_finish_hook, then exit. */
static void
finish(struct sim_process *p, int status)
{
    p->status = status;
    go_on(p, SIM_ENDING, sim_span(5, sim.program.end_most + 50));
}

/* ---- serving
 * --------------------------------------------------------------------------------- */

static bool
meets_fate(const struct sim_process *p, enum sim_fate fate)
{
    return p->fate == fate && p->requests >= p->fatal_request;
}

/* It dies while its words on the board change, with the count changed or not. */
static void
crash_changing(struct sim_process *p)
{
    bool was_idle = p->idle;
    bool counted = sim_chance(500);

    atomic_store(&p->seat.slot->state, was_idle ? PF_BOARD_TO_BUSY : PF_BOARD_TO_IDLE);
    if (counted)
        atomic_fetch_add(&p->seat.hints->idle,
                         ((uint64_t)1 << 32) + (uint64_t)(was_idle ? -1 : 1));
    count_idle(p, false);
    die(p, killed_by(SIGSEGV));
}

static pf_time
request_length(void)
{
    if (sim.program.even)
        return sim.program.request_least;
    return sim_chance(20) ? sim.program.request_most
                          : sim_span(sim.program.request_least, sim.program.request_most);
}

static void
accept_one(struct sim_process *p)
{
    sim.queue--;
    sim.counts.accepted++;
    p->requests++;
    p->began = sim.now;
    if (meets_fate(p, SIM_FATE_CRASH_CHANGING) && !p->foreign && sim_chance(500)) {
        p->requests--; /* it had no time to say so */
        crash_changing(p);
        return;
    }
    say_busy(p);
    if (meets_fate(p, SIM_FATE_HANG_IN_REQUEST))
        go_on(p, SIM_SERVING, PF_NEVER);
    else
        go_on(p, SIM_SERVING, request_length());
}

static bool
is_asked(const struct sim_process *p)
{
    return p->asked > 0 || !p->master_end_open;
}

/* epoll_wait(2) returned, or would at once. As pf_worker_serve(): being woken is a duty,
 * which whoever leaves passes on; and where the bell led somebody there may be more. */
static void
look(struct sim_process *p)
{
    bool takes = p->listens && sim.queue > 0;
    bool bell = p->listens && !p->foreign && sim.passed;

    if (!p->foreign && is_asked(p)) {
        p->asked = 0;
        say_leaving(p);
        finish(p, exited(0));
        if (takes || bell)
            sim_process_pass();
        return;
    }
    if (bell)
        sim.passed = false;
    if (!takes) {
        fall_asleep(p);
        return;
    }
    accept_one(p);
    if (bell)
        sim_process_pass();
}

/* The request is done. As count_request() of src/worker/serve.c. */
static void
done(struct sim_process *p)
{
    if (meets_fate(p, SIM_FATE_CRASH_IN_REQUEST)) {
        die(p, killed_by(SIGSEGV));
        return;
    }
    if (meets_fate(p, SIM_FATE_CRASH_CHANGING) && !p->foreign) {
        crash_changing(p);
        return;
    }
    sim.counts.served++;
    if (!p->foreign && p->ask_at > 0 && p->requests >= p->ask_at)
        pf_board_say_wants_leave(&p->seat);
    if (!p->foreign && p->stop_at > 0 && p->requests >= p->stop_at) {
        pf_board_say_spent(&p->seat);
        p->listens = false;
    } else {
        say_idle(p);
    }
    if (p->foreign && p->termed != 0)
        finish(p, exited(0));
    else
        look(p);
}

/* ---- the beginning
 * ------------------------------------------------------------------------------ */

static enum sim_fate
draw_fate(void)
{
    uint64_t n = sim_below(1000);

    if (sim.program.deployed != SIM_FATE_FINE && sim.master->pool.trial.on)
        return sim.program.deployed;
    for (unsigned fate = 1; fate < SIM_FATE_COUNT_OF; fate++) {
        if (n < sim.program.fate[fate])
            return (enum sim_fate)fate;
        n -= sim.program.fate[fate];
    }
    return SIM_FATE_FINE;
}

/* As set_limits() of src/worker/birth.c. */
static void
set_limits(struct sim_process *p)
{
    uint64_t most = sim.recipe.max_requests;
    uint64_t range = most * sim.recipe.max_requests_jitter / 100;

    p->stop_at = most;
    p->ask_at = most > 0 ? most - (range > 0 ? sim_below(range + 1) : 0) : 0;
}

/* Between fork and exec there is nothing to hang in. */
static enum sim_fate
fate_of_program(enum sim_fate fate)
{
    bool foreign = sim.recipe.handler == PF_HANDLER_WAIT;

    return foreign && fate == SIM_FATE_HANG_IN_INIT ? SIM_FATE_REFUSE_INIT : fate;
}

static pf_time
init_length(const struct sim_process *p)
{
    if (p->fate == SIM_FATE_HANG_IN_INIT)
        return PF_NEVER;
    if (p->fate == SIM_FATE_CRASH_AT_BIRTH || sim.recipe.handler == PF_HANDLER_WAIT)
        return sim_span(0, 1000);
    return sim_span(sim.program.init_least, sim.program.init_most);
}

void
sim_process_start(unsigned index)
{
    struct sim_process *p = &sim.processes[index];

    p->fate = fate_of_program(draw_fate());
    p->deaf = sim_chance(sim.program.deaf);
    p->undead = sim_chance(sim.program.undead);
    p->fatal_request = 1 + sim_below(20);
    p->listens = sim.recipe.handler != PF_HANDLER_MAIN_LOOP && !p->dequeue;
    set_limits(p);
    ++*alive_of(p);
    sim.counts.by_fate[p->fate]++;
    if (p->fate == SIM_FATE_CRASH_LATER || p->fate == SIM_FATE_KILLED ||
        p->fate == SIM_FATE_LEAVES || p->fate == SIM_FATE_HOSTILE)
        sim_at(sim.now + sim_span(0, sim.program.fate_most), SIM_EVENT_FATE, index,
               p->life);
    go_on(p, SIM_INIT, init_length(p));
}

/* What it says to the master has room for a few messages; the rest is lost. */
static void
say(struct sim_process *p, uint32_t kind, int errnum)
{
    if (!p->master_end_open || !p->worker_end_open || p->outbox_count == SIM_OUTBOX)
        return;
    p->outbox[p->outbox_count++] = (struct pf_message){.kind = kind, .errnum = errnum};
    sim_fd_touch(p->master_end);
}

static bool
is_program(void)
{
    return sim.recipe.handler == PF_HANDLER_WAIT || sim.recipe.handler == PF_HANDLER_NOWAIT;
}

static void
refuse(struct sim_process *p)
{
    say(p, is_program() ? PF_MESSAGE_EXEC_FAILED : PF_MESSAGE_INIT_FAILED, 2);
    die(p, exited(is_program() ? PF_WORKER_EXIT_EXEC : PF_WORKER_EXIT_INIT));
}

static void
become_program(struct sim_process *p)
{
    p->foreign = true;
    p->was_ready = true;
    p->worker_end_open = false;
    sim_fd_touch(p->master_end);
}

/* As pf_dequeue_run() of src/worker/dequeue.c. */
static void
dequeue(struct sim_process *p)
{
    p->was_ready = true;
    pf_board_say_apart(&p->seat);
    if (p->fate == SIM_FATE_CRASH_READY)
        die(p, killed_by(SIGSEGV));
    else if (p->fate == SIM_FATE_HANG_IN_REQUEST)
        go_on(p, SIM_LOOPING, PF_NEVER);
    else
        go_on(p, SIM_LOOPING, sim_span(0, 2 * sim.policy.check_for_dequeue));
}

static void
become_ready(struct sim_process *p)
{
    switch (p->fate) {
    case SIM_FATE_CRASH_AT_BIRTH:
    case SIM_FATE_CRASH_IN_INIT: die(p, killed_by(SIGABRT)); return;
    case SIM_FATE_REFUSE_INIT: refuse(p); return;
    default: break;
    }
    if (p->dequeue) {
        dequeue(p);
        return;
    }
    if (sim.recipe.handler == PF_HANDLER_WAIT)
        become_program(p);
    say_idle(p);
    if (p->fate == SIM_FATE_CRASH_READY)
        die(p, killed_by(SIGSEGV));
    else if (sim.recipe.handler == PF_HANDLER_MAIN_LOOP)
        go_on(p, SIM_LOOPING, sim_span(0, 50 * PF_MILLISECOND));
    else
        look(p);
    if (p->foreign && p->fate != SIM_FATE_CRASH_READY &&
        (sim.policy.ready_delay == PF_NEVER || sim_chance(500)))
        sim_say_ready(sim_pid_of(p->life));
}

/* The program's own loop looks at its channel from time to time; a dequeue process was
 * done. */
static void
loop(struct sim_process *p)
{
    if (is_asked(p) || p->dequeue) {
        say_leaving(p);
        finish(p, exited(0));
    } else {
        p->state = SIM_LOOPING;
        p->stamp++;
    }
}

void
sim_process_step(unsigned index)
{
    struct sim_process *p = &sim.processes[index];

    switch (p->state) {
    case SIM_INIT: become_ready(p); break;
    case SIM_WOKEN: look(p); break;
    case SIM_SERVING: done(p); break;
    case SIM_LOOPING: loop(p); break;
    case SIM_ENDING: die(p, p->status); break;
    case SIM_DEAD:
        p->state = SIM_ZOMBIE;
        sim_signal_end(sim_pid_of(p->life));
        break;
    case SIM_FREE:
    case SIM_UNBORN:
    case SIM_ASLEEP:
    case SIM_ZOMBIE:
    case SIM_STATE_COUNT_OF: sim_fail("a step of a process in state %d", (int)p->state);
    }
}

void
sim_process_hear(unsigned index)
{
    struct sim_process *p = &sim.processes[index];

    if (p->foreign)
        return;
    if (p->state == SIM_ASLEEP)
        wake(p, false);
    else if (p->state == SIM_LOOPING)
        go_on(p, SIM_LOOPING, sim_span(10, 50 * PF_MILLISECOND));
}

/* ---- what comes over it
 * ------------------------------------------------------------------------- */

static void
scribble(struct sim_process *p)
{
    static const uint32_t words[] = {PF_MESSAGE_LEAVE, PF_MESSAGE_EXEC_FAILED,
                                     PF_MESSAGE_LINE, 0};

    sim.hostile = true;
    if (!p->foreign) {
        atomic_store(&p->seat.slot->state, (uint32_t)sim_below(8));
        atomic_store(&p->seat.slot->wants_leave, (uint32_t)sim_below(2));
        atomic_store(&p->seat.slot->requests, sim_random());
        atomic_store(&p->seat.slot->since, (int64_t)sim_random());
        if (sim_chance(200))
            atomic_store(&sim.hints->idle, sim_random());
        if (sim_chance(500))
            pf_board_wake(&p->seat);
    }
    say(p, words[sim_below(PF_COUNT(words))], (int)sim_below(1000));
    if (sim_chance(300) && !p->foreign)
        pf_board_say_spoke(&p->seat);
    sim_at(sim.now + sim_span(0, sim.program.fate_most), SIM_EVENT_FATE, INDEX(p), p->life);
}

void
sim_process_fate(unsigned index)
{
    struct sim_process *p = &sim.processes[index];

    if (!sim_process_alive(p))
        return;
    switch (p->fate) {
    case SIM_FATE_CRASH_LATER: die(p, killed_by(SIGBUS)); break;
    case SIM_FATE_KILLED: die(p, killed_by(SIGKILL)); break;
    case SIM_FATE_LEAVES: die(p, exited(0)); break;
    case SIM_FATE_HOSTILE: scribble(p); break;
    default: break;
    }
}

/* A program that accepts by itself finishes its request first; our workers end at once. */
static void
take_term(struct sim_process *p)
{
    if (p->termed == 0)
        p->termed = sim.now;
    if (p->deaf || p->state == SIM_ENDING || (p->foreign && p->state == SIM_SERVING))
        return;
    get_up(p);
    finish(p, p->foreign ? killed_by(SIGTERM) : exited(0));
}

void
sim_process_signal(unsigned index, int signum)
{
    struct sim_process *p = &sim.processes[index];

    if (!sim_process_alive(p))
        return;
    if (signum == SIGKILL && !p->undead)
        die(p, killed_by(SIGKILL));
    else if (signum == SIGTERM)
        take_term(p);
}
