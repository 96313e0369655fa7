/* From a start to its end: what is run between the way in and the way out (prepare.c).
 *
 * That is the loop of the master, or the work itself where there are no workers, or one
 * connection that was handed in. What went wrong is told once: to whoever started the
 * server, to the program's fatal_hook, and in the log. */
#include "master/startup.h"

#include "log/access_log.h"
#include "log/log.h"
#include "master/prepare.h"
#include "master/solo.h"
#include "net/handed.h"
#include "net/starter.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/lifeline.h"
#include "os/memory.h"
#include "os/process.h"
#include "os/signal.h"
#include "worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct prefork_app *
app(const struct pf_startup *s)
{
    return &s->config->recipe.app;
}

static void
tell_ready(void *context)
{
    struct pf_startup *s = context;

    pf_log(PREFORK_LOG_NOTICE, "ready");
    (void)pf_daemon_tell(&s->daemonized, PREFORK_EXIT_OK, "");
}

static const char *
log_name(const struct pf_startup *s)
{
    const char *path = s->config->daemon.log.path;

    return path ? path : "the log";
}

/* In the foreground the master goes on trying: whoever started it sees the log. A starter
 * that waits for a verdict gets one, and the daemon ends. */
static bool
tell_bad_start(void *context)
{
    struct pf_startup *s = context;

    if (s->daemonized.verdict < 0)
        return false;
    (void)pf_error_set(s->error, PREFORK_EXIT_UNAVAILABLE, ECHILD,
                       "no worker became ready; see %s", log_name(s));
    (void)kill(getpid(), SIGTERM);
    return true;
}

static void
note(void *context, const char *text)
{
    (void)context;
    pf_log(PREFORK_LOG_NOTICE, "%s", text);
}

static void
add_daemonized(struct pf_parting *parting, const struct pf_daemonized *d)
{
    pf_parting_add(parting, d->verdict);
    pf_parting_add(parting, d->pid_fd);
    pf_parting_add(parting, d->pid_place.directory);
}

/* What is no worker's: the pid file, and what was handed over for the way back. */
static void
add_to_parting(void *context, struct pf_parting *parting)
{
    const struct pf_startup *s = context;

    add_daemonized(parting, &s->daemonized);
    add_daemonized(parting, &s->before);
    for (unsigned i = 0; s->from && i < s->from->file_count; i++)
        pf_parting_add(parting, s->from->files[i].fd);
    if (!s->from)
        return;
    pf_parting_add(parting, s->from->fds[PF_STATE_FD_TICKETS]);
    pf_parting_add(parting, s->from->fds[PF_STATE_FD_SCORE]);
    pf_parting_add(parting, s->from->fds[PF_STATE_FD_PAGES]);
}

static void
tell_commit(void *context)
{
    pf_prepare_commit(context);
}

static void
tell_return(void *context)
{
    pf_prepare_return(context);
}

/* In this process, so far. */
static unsigned servers;

/* Why a reload can do no more than replace workers; NULL: it can. */
static const char *
find_obstacle(const struct pf_startup *s)
{
    if (s->config->daemon.reload_workers)
        return "reload_mode says so";
    if (s->config->daemon.chroot)
        return "the program cannot be executed inside of chroot";
    if (servers > 1)
        return "another server ran in this process before, and the program begins with "
               "that";
    if (!s->image->path || !s->image->argv)
        return "there was no /proc at the start to learn about the program";
    return NULL;
}

static unsigned
seed(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (unsigned)t.tv_nsec ^ (unsigned)getpid() << 16;
}

static int
open_master(struct pf_startup *s)
{
    return pf_master_open(&s->master,
                          &(struct pf_master_setup){
                              .recipe = &s->config->recipe,
                              .policy = &s->config->policy,
                              .listeners = s->listeners,
                              .turn = &s->turn,
                              .herald = s->herald,
                              .reload = pf_prepare_reloads(s) ? &s->config->reload : NULL,
                              .watch = pf_prepare_reloads(s) ? &s->watch : NULL,
                              .score_file = s->score_file.path ? &s->score_file : NULL,
                              .keeper = s->keeper,
                              .fdstore = s->config->daemon.fdstore,
                              .daemonized = &s->daemonized,
                              .held = s->held,
                              .image = s->image,
                              .no_image = find_obstacle(s),
                              .from = s->from,
                              .seed = seed(),
                              .on_ready = tell_ready,
                              .on_commit = tell_commit,
                              .on_return = tell_return,
                              .on_bad_start = tell_bad_start,
                              .on_parting = add_to_parting,
                              .context = s,
                          },
                          s->error);
}

/* There is nothing to listen on and nobody to supervise. */
static void
serve_inet(struct pf_startup *s)
{
    if (pf_prepare_inet(s) < 0)
        return;
    pf_inet_serve(&s->config->recipe);
    if (app(s)->pre_server_close_hook)
        app(s)->pre_server_close_hook(app(s)->data);
}

static void
tell_listener(const struct pf_listener *l)
{
    bool datagrams = pf_proto_is_datagram(l->proto);

    if (l->shard == 0)
        pf_log(PREFORK_LOG_NOTICE, "listening on %s%s%s%s%s", l->address,
               datagrams ? " (" : "", datagrams ? pf_proto_name(l->proto) : "",
               datagrams ? ")" : "", l->inherited ? " (inherited)" : "");
}

static void
tell_start(const struct pf_startup *s)
{
    const struct pf_policy *policy = &s->config->policy;
    unsigned generation = pf_starter_generation();

    if (generation > 0)
        pf_log(PREFORK_LOG_NOTICE, "generation %u of Server::Starter", generation);
    for (unsigned i = 0; i < s->listeners->count; i++)
        tell_listener(&s->listeners->table[i]);
    if (s->config->daemon.alone)
        pf_log(PREFORK_LOG_NOTICE, "starting: no workers, all in this process");
    else
        pf_log(PREFORK_LOG_NOTICE, "starting: %u to %u workers", policy->min_servers,
               policy->max_servers);
}

/* The process ends without coming back here. Without a text in a signal handler: what is
 * called then is safe in one. */
static void
end_alone(void *context, int exit_code, const char *text)
{
    struct pf_startup *s = context;

    pf_listeners_shut(s->listeners);
    (void)pf_daemon_remove_pid(&s->daemonized);
    if (!text)
        return;
    if (app(s)->fatal_hook)
        app(s)->fatal_hook(text, app(s)->data);
    pf_log(PREFORK_LOG_ERROR, "%s", text);
    (void)pf_daemon_tell(&s->daemonized, exit_code, text);
}

/* The server before was replaced by this one, or has come back, or had died. */
static void
take_over_alone(struct pf_startup *s)
{
    enum pf_state_kind kind = s->from->kind;

    if (kind == PF_STATE_ADOPT)
        tell_ready(s);
    else
        pf_renewal_tell(&s->renewal, kind == PF_STATE_ROLLBACK ? s->from->reason : NULL);
    pf_prepare_commit(s);
}

/* A server without workers takes over by serving. Nobody of the program before is there to
 * empty a socket that is given up. */
static void
tell_ready_alone(void *context)
{
    struct pf_startup *s = context;

    pf_lifeline_close();
    pf_listeners_commit(s->listeners, pf_clock_now(), note, NULL);
    (void)pf_listeners_retire(s->listeners, pf_clock_now(), true);
    if (s->from)
        take_over_alone(s);
    else
        tell_ready(s);
}

static int
open_renewal(struct pf_startup *s)
{
    const struct pf_state *from = s->from;
    const struct pf_renewal_setup setup = {
        .has = {.name = s->config->recipe.name,
                .generation = from ? from->generation : 1,
                .reload = from ? from->reload : 0,
                .daemonized = &s->daemonized,
                .herald = &s->herald,
                .keeper = s->keeper,
                .listeners = s->listeners,
                .held = s->held},
        .image = find_obstacle(s) ? NULL : s->image,
        .no_image = find_obstacle(s),
        .timeout = s->config->policy.reload_timeout,
    };
    int r = pf_renewal_open(&s->renewal, &setup);

    if (from && from->wanted == PF_UPGRADE_RELOAD)
        pf_renewal_ask(&s->renewal);
    return r == 0
               ? 0
               : pf_error_set(s->error, PREFORK_EXIT_SYSTEM, -r,
                              "cannot set up a server without workers: %s", strerror(-r));
}

/* min_servers 0: the hooks around a pool, without one. */
static void
serve_alone(struct pf_startup *s)
{
    const struct pf_solo_setup setup = {
        .recipe = &s->config->recipe,
        .policy = &s->config->policy,
        .listeners = s->listeners,
        .on_ready = tell_ready_alone,
        .herald = &s->herald,
        .renewal = &s->renewal,
        .on_end = end_alone,
        .context = s,
    };
    unsigned long requests = 0;

    tell_start(s);
    if (pf_solo_run(&setup, &requests, s->error) < 0)
        return;
    if (app(s)->pre_server_close_hook)
        app(s)->pre_server_close_hook(app(s)->data);
    pf_listeners_shut(s->listeners);
    if (app(s)->post_child_cleanup_hook)
        app(s)->post_child_cleanup_hook(app(s)->data);
    pf_log(PREFORK_LOG_NOTICE, "stopped after %lu connections", requests);
}

static void
run_alone(struct pf_startup *s)
{
    if (open_renewal(s) == 0)
        serve_alone(s);
    pf_renewal_close(&s->renewal);
}

static void
run(struct pf_startup *s)
{
    if (open_master(s) < 0)
        return;
    pf_master_title();
    tell_start(s);
    pf_memory_inherit(s, sizeof *s, false); /* of no use to workers */
    pf_master_run(&s->master);
    if (app(s)->post_child_cleanup_hook)
        app(s)->post_child_cleanup_hook(app(s)->data);
    pf_log(PREFORK_LOG_NOTICE, "stopped after %llu connections; longest turn %.3f ms",
           (unsigned long long)pf_pool_requests(&s->master.pool),
           (double)s->master.longest_turn / (double)PF_MILLISECOND);
    pf_master_close(&s->master);
}

/* Who reads standard error gets the sentence from prefork_main() or from the starter. */
void
pf_startup_fail(const struct prefork_app *app, const char *text)
{
    if (app->fatal_hook)
        app->fatal_hook(text, app->data);
    if (!pf_log_is_stderr())
        pf_log(PREFORK_LOG_ERROR, "%s", text);
}

/* In a child of a master that wants to know. What the program does behind its server is
 * none of a check's business: it may clean up after a server that runs. */
PF_NORETURN static void
answer(struct pf_startup *s)
{
    const struct pf_state *from = s->from;
    int r = pf_prepare_check(s);

    pf_checking_answer(from, r < 0 ? s->error->text : NULL);
    pf_process_exit(PREFORK_EXIT_OK);
}

/* Nothing of what was taken over is lost: workers serve there. Then the program that was
 * here before goes on, or whoever keeps all that tries again. */
static void
give_back(struct pf_startup *s)
{
    pf_listeners_give_back(s->listeners);
    pf_prepare_return(s);
    pf_prepare_forget_score(s);
    pf_daemon_forget(&s->daemonized);
    pf_daemon_forget(&s->before);
    if (s->from->kind != PF_STATE_TRIAL)
        return;
    pf_signal_hand_over();
    pf_succession_return(s->from, s->image, s->error->text);
    pf_signal_take_back();
}

static void
serve(struct pf_startup *s)
{
    pf_lifeline_limit(pf_time_after(pf_clock_now(), s->config->policy.reload_timeout));
    if (pf_prepare(s) == 0)
        s->config->daemon.alone ? run_alone(s) : run(s);
    if (s->error->exit_code != PREFORK_EXIT_OK && s->from)
        give_back(s);
}

static struct pf_startup *
new_startup(const struct pf_startup_setup *setup, struct pf_error *error)
{
    struct pf_startup *s = pf_memory_new(sizeof *s);

    if (!s) {
        (void)pf_error_set(error, PREFORK_EXIT_SYSTEM, ENOMEM, "out of memory");
        return NULL;
    }
    *s = (struct pf_startup){
        .p = setup->p,
        .config = setup->config,
        .listeners = setup->listeners,
        .held = setup->held,
        .image = setup->image,
        .from = setup->from,
        .daemonized = PF_DAEMONIZED_NONE,
        .before = PF_DAEMONIZED_NONE,
        .herald = {.fd = -1},
        .keeper = -1,
        .watch = {.root = -1, .fd = -1},
        .score_file = PF_SCORE_FILE_NONE,
        .error = error,
    };
    return s;
}

int
pf_startup_run(const struct pf_startup_setup *setup, struct pf_error *error)
{
    struct pf_startup *s = new_startup(setup, error);

    if (!s)
        return error->exit_code;
    servers++;
    pf_fd_fill_stdio();
    pf_master_clear_desk();
    pf_master_take_office(s->config->recipe.name);
    pf_signal_shield();
    if (s->from && s->from->kind == PF_STATE_CHECK)
        answer(s);
    else if (s->config->daemon.inet)
        serve_inet(s);
    else
        serve(s);
    pf_lifeline_close(); /* an end before it has taken over is no crash */
    if (error->exit_code != PREFORK_EXIT_OK)
        pf_startup_fail(app(s), error->text);
    pf_prepare_undo(s);
    pf_access_log_close();
    pf_log_close_sink();
    pf_signal_drain(); /* who asks once more for an end that has come */
    pf_signal_forget();
    pf_master_clear_desk();
    pf_master_leave_office();
    pf_prepare_forget_state(s);
    pf_memory_free(s, sizeof *s);
    return error->exit_code;
}
