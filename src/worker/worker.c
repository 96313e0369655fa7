/* A worker's life on one page.
 *
 * The one struct prefork_worker of the process is static: there is one worker per process,
 * a signal handler needs to find it, and its pages stay untouched until they are used.
 *
 * SIGTERM, SIGINT and SIGQUIT end a worker at once, wherever it is, as in the two systems
 * whose users we serve: child_finish_hook, exit. Being asked to leave is another thing: it
 * comes on the channel and is seen only between two connections. */
#include "worker/worker.h"

#include "base/attr.h"
#include "link/channel.h"
#include "log/outlet.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/signal.h"
#include "os/title.h"
#include "worker/recipe.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static struct prefork_worker the_worker PF_PER_WORKER_LARGE;

struct prefork_worker *
pf_worker_here(void)
{
    return the_worker.heritage.recipe ? &the_worker : NULL;
}

void
pf_worker_finish(struct prefork_worker *w)
{
    const struct pf_recipe *recipe = w->heritage.recipe;

    if (recipe->app.child_finish_hook)
        recipe->app.child_finish_hook(w, recipe->app.data);
    (void)fflush(NULL);
}

/* Exit handlers are the master's. Whoever ends is not idle, or the last one that really is
 * would not wake the master when it goes. */
PF_NORETURN void
pf_worker_end(struct prefork_worker *w, enum pf_worker_exit code)
{
    if (!w->heritage.dequeue)
        pf_board_say_leaving(&w->heritage.seat, pf_clock_now_coarse());
    pf_worker_score(w, PF_SCORE_LEAVING);
    pf_worker_finish(w);
    pf_process_exit((int)code);
}

PF_NORETURN void
pf_worker_fail(struct prefork_worker *w, enum pf_worker_exit code, int errnum)
{
    enum pf_message_kind kind =
        code == PF_WORKER_EXIT_EXEC ? PF_MESSAGE_EXEC_FAILED : PF_MESSAGE_INIT_FAILED;

    if (w->alone)
        w->alone->fail(code, errnum);
    (void)pf_channel_send(w->heritage.channel, kind, errnum); /* the status says it too */
    (void)fflush(NULL);
    pf_process_exit((int)code);
}

/* Runs where the signal hit: in our code that is always between two safe steps, in the
 * program's code it is documented in the contract of child_finish_hook. A program that
 * runs for a connection is ended too, and this worker after it: whoever has to go on to
 * SIGKILL must find both. */
static void
end_by_signal(int signum)
{
    struct prefork_worker *w = &the_worker;
    const struct pf_recipe *recipe = w->heritage.recipe;

    if (w->program > 0) {
        (void)kill(w->program, signum);
        w->ending = 1;
        return;
    }
    if (recipe->app.child_finish_hook)
        recipe->app.child_finish_hook(w, recipe->app.data);
    pf_process_exit(PF_WORKER_EXIT_DONE);
}

static void
heed_leave(struct prefork_worker *w)
{
    bool is_news = !w->leaving;

    w->leaving = true; /* before the program hears of it, and asks */
    if (is_news && w->alone)
        w->alone->leaves();
}

/* Take one message: 0, or -EAGAIN: there is none. */
static int
hear(struct prefork_worker *w)
{
    struct pf_message message = {.kind = 0};
    int passed = -1;
    int r = pf_channel_receive_fd(w->heritage.channel, &message, &passed);

    if (r == -EPIPE || message.kind == PF_MESSAGE_LEAVE)
        heed_leave(w);
    if (message.kind == PF_MESSAGE_SIGNAL && w->alone)
        w->alone->signalled(message.errnum);
    if (message.kind >= PF_MESSAGE_OUTLET)
        pf_outlet_take((enum pf_outlet)(message.kind - PF_MESSAGE_OUTLET), passed,
                       (uint32_t)message.errnum);
    else
        pf_fd_close(&passed);
    return r == -EBADMSG ? 0 : r;
}

bool
pf_worker_is_asked(struct prefork_worker *w)
{
    while (!w->leaving && hear(w) == 0)
        continue;
    return w->leaving;
}

/* The outlets' side of the channel: a request to leave that stands before the new sink is
 * remembered, and one that was read already does not end the reading. */
static void
fetch_outlets(void *context)
{
    struct prefork_worker *w = context;

    while (hear(w) == 0)
        continue;
}

static void
tell_broken_log(uint32_t mark, void *context)
{
    const struct prefork_worker *w = context;

    pf_board_say_log_broken(&w->heritage.seat, mark);
}

static void
follow_outlets(struct prefork_worker *w)
{
    for (unsigned i = 0; i < PF_OUTLET_COUNT; i++)
        pf_outlet_follow((enum pf_outlet)i,
                         &(struct pf_outlet_link){
                             .mark = &w->heritage.seat.hints->outlet_marks[i],
                             .fetch = fetch_outlets,
                             .broken = tell_broken_log,
                             .context = w,
                         });
}

static enum pf_title_state
title_state(const struct prefork_worker *w)
{
    switch (atomic_load_explicit(&w->heritage.seat.slot->state, memory_order_relaxed)) {
    case PF_BOARD_STARTING: return PF_TITLE_INIT;
    case PF_BOARD_IDLE: return PF_TITLE_IDLE;
    default: return PF_TITLE_BUSY;
    }
}

void
pf_worker_title(const struct prefork_worker *w)
{
    if (w->heritage.dequeue) {
        pf_title_set(w->heritage.recipe->name, "dequeue");
        return;
    }
    pf_title_set_worker(w->heritage.recipe->name, w->role);
    pf_title_state(title_state(w));
}

void
pf_worker_label(struct prefork_worker *w, const char *label)
{
    w->labelled = label != NULL;
    if (label)
        pf_title_set(w->heritage.recipe->name, label);
    else
        pf_worker_title(w);
    pf_worker_score_label(w, label ? label : "");
}

void
pf_worker_say_idle(struct prefork_worker *w)
{
    pf_time now = pf_clock_now_coarse();

    if (w->heritage.dequeue)
        return;
    pf_board_say_idle(&w->heritage.seat, now);
    pf_worker_score_since(w, PF_SCORE_IDLE, now);
    if (!w->labelled)
        pf_title_state(PF_TITLE_IDLE);
}

pf_time
pf_worker_say_busy(struct prefork_worker *w, unsigned accepted)
{
    pf_time now = pf_clock_now_coarse();

    if (w->heritage.dequeue)
        return now;
    pf_board_say_busy(&w->heritage.seat, now, accepted);
    if (!w->labelled)
        pf_title_state(PF_TITLE_BUSY);
    return now;
}

static void
run_main_loop(struct prefork_worker *w)
{
    const struct prefork_app *app = &w->heritage.recipe->app;

    pf_worker_say_idle(w);
    app->main_loop(w, app->data);
}

void
pf_worker_end_by_signal(void)
{
    pf_signal_handle_end(end_by_signal);
}

int
pf_worker_get_ready(struct prefork_worker *w)
{
    const struct prefork_app *app = &w->heritage.recipe->app;

    if (w->heritage.recipe->handler == PF_HANDLER_NOWAIT)
        pf_nowait_prepare(w);
    return app->child_init_hook ? app->child_init_hook(w, app->data) : 0;
}

void
pf_worker_work(struct prefork_worker *w)
{
    if (w->heritage.dequeue)
        pf_dequeue_run(w);
    else if (w->heritage.recipe->handler == PF_HANDLER_MAIN_LOOP)
        run_main_loop(w);
    else
        pf_worker_serve(w);
}

struct prefork_worker *
pf_worker_alone(const struct pf_heritage *heritage, const struct pf_alone *alone,
                const char *role)
{
    struct prefork_worker *w = &the_worker;

    w->alone = alone;
    w->role = role;
    w->null_fd = -1;
    w->wait.fd = -1;
    w->conn.fd = -1;
    w->heritage = *heritage;
    pf_worker_score_open(w);
    pf_worker_title(w);
    return w;
}

void
pf_worker_retire(struct prefork_worker *w)
{
    pf_wait_close(&w->wait);
    pf_fd_close(&w->null_fd);
    pf_datagrams_forget(w);
    *w = (struct prefork_worker){.alone = NULL};
}

/* While the program's hook runs nobody looks whether the master is still there. */
static int
get_ready_with_master(struct prefork_worker *w)
{
    int r;

    if (!w->heritage.recipe->app.child_init_hook)
        return pf_worker_get_ready(w);
    pf_process_die_with_parent(SIGKILL, w->heritage.master);
    r = pf_worker_get_ready(w);
    pf_process_outlive_parent();
    return r;
}

static bool
accepts_by_itself(const struct pf_recipe *recipe)
{
    return recipe->handler == PF_HANDLER_WAIT || recipe->handler == PF_HANDLER_MAIN_LOOP;
}

PF_NORETURN void
pf_worker_main(const struct pf_heritage *heritage)
{
    struct prefork_worker *w = &the_worker;
    int r;

    pf_worker_birth(w, heritage);
    follow_outlets(w);
    if (accepts_by_itself(heritage->recipe))
        pf_worker_refuse_plain(w);
    if (heritage->recipe->handler == PF_HANDLER_WAIT)
        pf_wait_become(w);
    pf_worker_end_by_signal();
    r = get_ready_with_master(w);
    if (r != 0)
        pf_worker_fail(w, PF_WORKER_EXIT_INIT, r);
    pf_worker_work(w);
    pf_worker_end(w, PF_WORKER_EXIT_DONE);
}
