/* A server without workers: the process that would be the master does the work itself.
 *
 * It is for debugging: one process, one stack, nothing forked, so a debugger or strace sees
 * all there is. The worker's half is the same code as in a pool (worker/worker.h): it has a
 * page that nobody reads and a channel, whose other end is the master's half, kept here. So
 * prefork_stopping(), prefork_wait() and the wait for connections work unchanged.
 *
 * There is no loop to take signals from a descriptor, so they come to a handler, which does
 * no more than is safe in one. A request to stop closes the channel: the work sees it where
 * a worker would see that it is to leave, and there, outside of the handler,
 * before_shutdown is called. Other signals are messages on the channel, taken up at the
 * same place. One of them is SIGHUP: when the check of a reload (renewal.c) is passed, the
 * work is asked to leave like a worker whose generation is replaced, and when it has, the
 * next program is executed. If the system refuses that, the work begins anew.
 *
 * The work may be anywhere, and may never look. So the ladder down is that of the master
 * (core/shutdown.h), climbed by further signals and by a timer that raises SIGTERM:
 *
 *   GRACEFUL, FAST   the work is asked to end
 *   TERM             it is ended where it is: the program of a connection is sent SIGTERM;
 *                    without one before_shutdown, if it did not run yet, and
 *                    child_finish_hook run in the handler, and the process ends
 *   KILL             the program is killed; what hooks are left do not run
 *   GIVE_UP          the process ends whatever else there is
 *
 * A child that the work has forked by itself inherits the handlers and not the server:
 * there signals do what they do by default.
 *
 * Left out: what needs a second process (limits on requests, dequeue, streams and lines
 * between worker and master, the sweep of what programs left behind), and signs of life for
 * the watchdog of a service manager, which are a loop's. */
#include "master/solo.h"

#include "core/shutdown.h"
#include "link/channel.h"
#include "link/heritage.h"
#include "log/log.h"
#include "master/master.h"
#include "net/tls.h"
#include "os/alarm.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/signal.h"
#include "os/wake.h"
#include "worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One per process, where a signal handler finds it. */
static struct {
    const struct pf_solo_setup *setup;
    pid_t pid;
    int channel;           /* the master's end */
    int worker_channel;    /* the worker's end */
    int pass;              /* a bell that nobody else hears */
    bool replaced;         /* the work was asked to leave for the next program */
    struct pf_alarm alarm; /* of the ladder */
    struct pf_pool ladder; /* of which only the stop is used: its workers are none */
    struct pf_board_slot slot;
    struct pf_board_hints hints;
    volatile sig_atomic_t signum;   /* that asked first; 0: prefork_stop() */
    volatile sig_atomic_t hung_up;  /* SIGHUP came */
    volatile sig_atomic_t told;     /* before_shutdown was called */
    volatile sig_atomic_t finished; /* child_finish_hook was called, or is not due */
} solo = {.channel = -1, .worker_channel = -1, .pass = -1};

static const struct prefork_app *
app(void)
{
    return &solo.setup->recipe->app;
}

/* ---- the end ------------------------------------------------------------------------ */

/* Once, and only if somebody asked. */
static void
call_before_shutdown(void)
{
    const char *reason = pf_master_wanted_stop();

    if (!reason || solo.told)
        return;
    solo.told = 1;
    if (app()->before_shutdown)
        app()->before_shutdown(reason, app()->data);
}

static void
finish(struct prefork_worker *w)
{
    if (solo.finished)
        return;
    solo.finished = 1;
    pf_worker_finish(w);
}

PF_NORETURN static void
leave_process(int exit_code, const char *text)
{
    solo.setup->on_end(solo.setup->context, exit_code, text);
    pf_process_exit(exit_code);
}

/* In the handler. The hooks may hang like the work before them: the ladder goes on. */
PF_NORETURN static void
end_here(bool with_hooks)
{
    if (with_hooks) {
        pf_signal_admit();
        call_before_shutdown();
        if (!solo.finished && app()->child_finish_hook) {
            solo.finished = 1;
            app()->child_finish_hook(pf_worker_here(), app()->data);
        }
    }
    leave_process(PREFORK_EXIT_OK, NULL);
}

/* In the handler: do what the step that was reached means. After the end of the program of
 * a connection the work sees that it should end. */
static void
carry_out(void)
{
    struct prefork_worker *w = pf_worker_here();

    if (solo.ladder.stop < PF_STOP_TERM) {
        pf_worker_leave(w);
    } else if (w->program > 0 && solo.ladder.stop < PF_STOP_GIVE_UP) {
        (void)kill(w->program, solo.ladder.stop == PF_STOP_TERM ? SIGTERM : SIGKILL);
    } else {
        end_here(solo.ladder.stop == PF_STOP_TERM);
    }
}

static void
climb(int signum, bool by_us)
{
    const struct pf_policy *policy = solo.setup->policy;
    pf_time now = pf_clock_now();

    if (by_us)
        pf_shutdown_advance(&solo.ladder, policy, now);
    else
        pf_shutdown_ask(&solo.ladder, signum == SIGQUIT ? PF_STOP_GRACEFUL : PF_STOP_FAST,
                        now);
    pf_alarm_set(&solo.alarm, pf_shutdown_at(&solo.ladder, policy));
    if (solo.ladder.stop != PF_STOP_NONE)
        carry_out();
}

static void
take_signal(int signum, bool by_us)
{
    if (getpid() != solo.pid) {
        pf_signal_default(signum);
        return;
    }
    switch (signum) {
    case SIGTERM:
    case SIGINT:
    case SIGQUIT:
        if (!by_us && pf_master_want_stop(pf_signal_name(signum)))
            solo.signum = signum;
        climb(signum, by_us);
        return;
    case SIGHUP: solo.hung_up = 1; break;
    default: break;
    }
    (void)pf_channel_send(solo.channel, PF_MESSAGE_SIGNAL, by_us ? 0 : signum);
}

/* ---- what the worker's half asks of this one -------------------------------------------
 */

static void
tell(enum pf_herald_word word)
{
    pf_herald_say(solo.setup->herald, word, pf_clock_now());
}

static void
leaves(void)
{
    const char *reason = pf_master_wanted_stop();

    if (!reason || solo.told)
        return; /* by its own will: prefork_done() */
    pf_log(PREFORK_LOG_NOTICE, "%s%s: stopping", solo.signum != 0 ? "SIG" : "", reason);
    tell(PF_HERALD_STOPPING);
    call_before_shutdown();
}

static void
heed_hangup(void)
{
    if (!solo.hung_up)
        return;
    solo.hung_up = 0;
    pf_renewal_ask(solo.setup->renewal);
}

/* Who asked for a reload waits for both words. */
static void
look_at_reload(void)
{
    struct pf_renewal *r = solo.setup->renewal;
    bool asked = r->wanted || solo.hung_up;
    bool was_on = r->stage != PF_RENEWAL_NONE;

    heed_hangup();
    if (asked && !was_on)
        tell(PF_HERALD_RELOADING);
    if (pf_renewal_look(r) == PF_RENEWAL_NONE && (asked || was_on))
        tell(PF_HERALD_READY);
    if (r->stage == PF_RENEWAL_DUE && !solo.replaced)
        solo.replaced = pf_channel_send(solo.channel, PF_MESSAGE_LEAVE, 0) == 0;
}

/* 0: it is time to look. */
static void
signalled(int signum)
{
    if (signum == SIGUSR1)
        pf_master_reopen_outlets(NULL);
    else if (signum == SIGUSR2)
        pf_log(PREFORK_LOG_NOTICE, "SIGUSR2: there are no workers to be replaced");
    look_at_reload();
}

PF_NORETURN static void
fail(enum pf_worker_exit code, int errnum)
{
    const char *program = solo.setup->recipe->program;
    char text[PF_ERROR_TEXT_BYTES];

    if (code == PF_WORKER_EXIT_EXEC)
        (void)snprintf(text, sizeof text, "cannot run %s: %s", program, strerror(errnum));
    else
        (void)snprintf(text, sizeof text, "cannot serve: %s", strerror(errnum));
    (void)fflush(NULL);
    leave_process(PREFORK_EXIT_SYSTEM, text);
}

static const struct pf_alone alone = {leaves, signalled, fail};

/* ---- start and end ------------------------------------------------------------------ */

static void
close_self(void)
{
    pf_alarm_close(&solo.alarm);
    pf_fd_close(&solo.channel);
    pf_fd_close(&solo.worker_channel);
    pf_fd_close(&solo.pass);
}

/* What the worker's half says to its master is not heard: it gets EPIPE for it. */
static int
open_self(const struct pf_solo_setup *setup)
{
    int r = pf_channel_open(&solo.channel, &solo.worker_channel);

    solo.setup = setup;
    solo.pid = getpid();
    solo.ladder.stop = PF_STOP_NONE;
    solo.replaced = false;
    solo.signum = solo.hung_up = solo.told = solo.finished = 0;
    memset(&solo.slot, 0, sizeof solo.slot);
    memset(&solo.hints, 0, sizeof solo.hints);
    if (r < 0)
        return r;
    pf_channel_hang_up(solo.channel);
    solo.pass = pf_wake_open();
    if (solo.pass < 0)
        return solo.pass;
    r = pf_alarm_open(&solo.alarm, SIGTERM);
    return r < 0 ? r : pf_worker_give_up(setup->recipe);
}

static struct prefork_worker *
become_worker(const struct pf_solo_setup *setup)
{
    const struct pf_heritage heritage = {
        .recipe = setup->recipe,
        .listeners = setup->listeners,
        .seat = {.slot = &solo.slot, .hints = &solo.hints, .wake_fd = -1},
        .turn = {.kind = PF_TURN_NONE},
        .pass_fd = solo.pass,
        .channel = solo.worker_channel,
        .wire = -1,
        .departures = -1,
        .master = solo.pid,
    };

    return pf_worker_alone(&heritage, &alone, "master and worker");
}

static int
work(struct prefork_worker *w, struct pf_error *error)
{
    int r = pf_worker_get_ready(w);

    if (r != 0) {
        solo.finished = 1;
        return pf_error_set(error, PREFORK_EXIT_UNAVAILABLE, ECANCELED,
                            "child_init_hook refused to start (%d)", r);
    }
    if (!pf_worker_is_asked(w)) {
        solo.setup->on_ready(solo.setup->context);
        tell(PF_HERALD_READY);
        look_at_reload(); /* one may wait since before the last */
        pf_worker_work(w);
    }
    leaves(); /* if the work ended without having looked */
    finish(w);
    return 0;
}

/* One life of the work. 0, also where it is to give way to the next program, or a negative
 * errno. Signals are blocked afterwards: those that come wait for whoever is next. */
static int
live(const struct pf_solo_setup *setup, unsigned long *requests, struct pf_error *error)
{
    struct prefork_worker *w;
    int r = open_self(setup);

    if (r < 0) {
        close_self();
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, -r,
                            "cannot set up a server without workers: %s", strerror(-r));
    }
    pf_tls_before_fork(setup->listeners, pf_clock_now());
    w = become_worker(setup);
    pf_signal_catch(take_signal);
    if (pf_master_wanted_stop()) /* a hook of the start wanted it */
        pf_worker_leave(w);
    r = work(w, error);
    *requests += w->requests;
    pf_alarm_close(&solo.alarm); /* before its signal means something else */
    pf_signal_let_go();
    pf_worker_retire(w);
    close_self();
    return r;
}

static void
call(void (*hook)(void *data))
{
    if (hook)
        hook(app()->data);
}

/* To the next program. Returns if that was refused. */
static void
give_way(void)
{
    heed_hangup();
    call(app()->restart_close_hook);
    pf_signal_hand_over();
    pf_renewal_become_next(solo.setup->renewal);
    pf_signal_take_back();
    call(app()->restart_open_hook);
}

int
pf_solo_run(const struct pf_solo_setup *setup, unsigned long *ret_requests,
            struct pf_error *error)
{
    bool again;
    int r;

    *ret_requests = 0;
    do {
        r = live(setup, ret_requests, error);
        again = r == 0 && solo.replaced && !pf_master_wanted_stop();
        if (again)
            give_way();
    } while (again);
    return r;
}
