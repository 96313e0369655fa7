/* Starting, in order; and the way out in the opposite order.
 *
 *   inherited sockets   before anything forks: LISTEN_PID names this process
 *   check               a drop that is not permitted ends the start here
 *   umask               before anything is made
 *   log file            with the starter's rights
 *   background          from here on, failures are told to the starter
 *   pid file            locked before anything is bound: a second start ends here
 *   after_init          the program's first word
 *   listeners           with the starter's rights
 *   post_bind_hook
 *   lock of serialize
 *   privileges          files handed over, chroot, drop; nothing below needs them
 *   pre_loop_hook
 *   the master          allocates what the loop needs
 *   ---------------------------------------------------------------- the line
 *   the loop            nothing may end the master any more but a finished plan
 *
 * Each step may fail; then what the earlier ones made is undone, and nothing was started.
 */
#include "master/startup.h"

#include "log/log.h"
#include "master/daemon.h"
#include "master/master.h"
#include "master/privileges.h"
#include "net/inherit.h"
#include "net/tls.h"
#include "os/fd.h"
#include "os/memory.h"
#include "os/signal.h"
#include "os/title.h"
#include "worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct startup {
    struct prefork *p;
    const struct pf_config *config;
    struct pf_listeners *listeners;
    struct pf_turn turn;
    struct pf_daemonized daemonized;
    struct pf_master master;
    struct pf_error *error;
};

static const struct prefork_app *
app(const struct startup *s)
{
    return &s->config->recipe.app;
}

static void
note(void *context, const char *text)
{
    (void)context;
    pf_log(PREFORK_LOG_NOTICE, "%s", text);
}

static int
refused(struct startup *s, const char *hook, int result)
{
    return pf_error_set(s->error, PREFORK_EXIT_CONFIG, ECANCELED,
                        "%s refused to start (%d)", hook, result);
}

static int
call(struct startup *s, const char *name, int (*hook)(struct prefork *p, void *data))
{
    int r = hook ? hook(s->p, app(s)->data) : 0;

    return r == 0 ? 0 : refused(s, name, r);
}

static int
call_plain(struct startup *s, const char *name, int (*hook)(void *data))
{
    int r = hook ? hook(app(s)->data) : 0;

    return r == 0 ? 0 : refused(s, name, r);
}

static void
set_umask(const struct startup *s)
{
    if (s->config->daemon.has_umask)
        (void)umask(s->config->daemon.umask); /* it gives the old one and cannot fail */
}

static int
open_log(struct startup *s)
{
    return pf_log_open_sink(&s->config->daemon.log, s->error);
}

/* What config/ refuses for ports, for sockets that were handed in. */
static int
check_inherited(struct startup *s)
{
    const struct pf_listeners *ls = s->listeners;

    for (unsigned i = 0; i < ls->count; i++) {
        if (pf_proto_is_datagram(ls->table[i].proto) &&
            s->config->recipe.handler == PF_HANDLER_NOWAIT)
            return pf_error_set(s->error, PREFORK_EXIT_CONFIG, EINVAL,
                                "LISTEN_FDS: %s is for datagrams, which a program that is "
                                "started for each connection cannot read: use handler wait",
                                ls->table[i].address);
    }
    return 0;
}

/* A loop of the program's own needs no port, and sockets that were handed in stand for
 * the port that nobody set. */
static int
open_listeners(struct startup *s)
{
    const struct pf_config *config = s->config;

    if (config->endpoints_by_default && (s->listeners->count > 0 || app(s)->main_loop))
        return 0;
    for (unsigned i = 0; i < config->endpoint_count; i++) {
        int r =
            pf_listeners_open(s->listeners, &config->endpoints[i], note, NULL, s->error);
        if (r < 0)
            return r;
    }
    pf_tls_prepare(s->listeners);
    return 0;
}

static int
open_turn(struct startup *s)
{
    const struct pf_config *config = s->config;

    return pf_turn_open(&s->turn, config->recipe.serialize, config->daemon.lock_file,
                        s->error);
}

static void
tell_ready(void *context)
{
    struct startup *s = context;

    pf_log(PREFORK_LOG_NOTICE, "ready");
    (void)pf_daemon_tell(&s->daemonized, PREFORK_EXIT_OK, "");
}

static const char *
log_name(const struct startup *s)
{
    const char *path = s->config->daemon.log.path;

    return path ? path : "the log";
}

/* In the foreground the master goes on trying: whoever started it sees the log. A starter
 * that waits for a verdict gets one, and the daemon ends. */
static bool
tell_bad_start(void *context)
{
    struct startup *s = context;

    if (s->daemonized.verdict < 0)
        return false;
    (void)pf_error_set(s->error, PREFORK_EXIT_UNAVAILABLE, ECHILD,
                       "no worker became ready; see %s", log_name(s));
    (void)kill(getpid(), SIGTERM);
    return true;
}

static void
forget_in_worker(void *context)
{
    struct startup *s = context;

    pf_daemon_forget(&s->daemonized);
    pf_memory_free(s, sizeof *s);
}

static unsigned
seed(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (unsigned)t.tv_nsec ^ (unsigned)getpid() << 16;
}

static int
open_master(struct startup *s)
{
    return pf_master_open(&s->master,
                          &(struct pf_master_setup){
                              .recipe = &s->config->recipe,
                              .policy = &s->config->policy,
                              .listeners = s->listeners,
                              .turn = &s->turn,
                              .seed = seed(),
                              .on_ready = tell_ready,
                              .on_bad_start = tell_bad_start,
                              .on_fork = forget_in_worker,
                              .context = s,
                          },
                          s->error);
}

/* There is nothing to listen on and nobody to supervise. */
static int
serve_inet(struct startup *s)
{
    int r = pf_privileges_check(s->config, s->error);

    if (r == 0)
        r = open_log(s);
    if (r == 0)
        r = call_plain(s, "after_init", app(s)->after_init);
    if (r == 0)
        r = call(s, "post_bind_hook", app(s)->post_bind_hook);
    if (r == 0)
        r = pf_privileges_give_up(s->config, -1, s->error);
    if (r == 0)
        r = call_plain(s, "pre_loop_hook", app(s)->pre_loop_hook);
    if (r < 0)
        return r;
    pf_inet_serve(&s->config->recipe);
    if (app(s)->pre_server_close_hook)
        app(s)->pre_server_close_hook(app(s)->data);
    return 0;
}

static int
prepare(struct startup *s)
{
    int r = pf_inherit_listen_fds(s->listeners, s->error);

    if (r >= 0)
        r = check_inherited(s);
    if (r == 0)
        r = pf_privileges_check(s->config, s->error);
    if (r == 0) {
        set_umask(s);
        r = open_log(s);
    }
    if (r == 0)
        r = pf_daemon_start(&s->daemonized, &s->config->daemon, s->error);
    if (r == 0)
        r = pf_daemon_write_pid(&s->daemonized, s->config->daemon.pid_file, s->error);
    if (r == 0)
        r = call_plain(s, "after_init", app(s)->after_init);
    if (r == 0)
        r = open_listeners(s);
    if (r == 0)
        r = call(s, "post_bind_hook", app(s)->post_bind_hook);
    if (r == 0)
        r = open_turn(s);
    if (r == 0)
        r = pf_privileges_give_up(s->config, s->daemonized.pid_fd, s->error);
    if (r == 0)
        r = call_plain(s, "pre_loop_hook", app(s)->pre_loop_hook);
    if (r == 0)
        r = pf_daemon_redirect(&s->config->daemon, s->error);
    return r == 0 ? open_master(s) : r;
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
tell_start(const struct startup *s)
{
    const struct pf_policy *policy = &s->config->policy;

    for (unsigned i = 0; i < s->listeners->count; i++)
        tell_listener(&s->listeners->table[i]);
    pf_log(PREFORK_LOG_NOTICE, "starting: %u to %u workers", policy->min_servers,
           policy->max_servers);
}

static void
run(struct startup *s)
{
    pf_title_set(s->config->recipe.name, "master");
    tell_start(s);
    pf_master_run(&s->master);
    if (app(s)->post_child_cleanup_hook)
        app(s)->post_child_cleanup_hook(app(s)->data);
    pf_log(PREFORK_LOG_NOTICE, "stopped after %llu connections; longest turn %.3f ms",
           (unsigned long long)pf_pool_requests(&s->master.pool),
           (double)s->master.longest_turn / (double)PF_MILLISECOND);
    pf_master_close(&s->master);
    pf_signal_shield(); /* was taken down with the rest; there may be more to log */
}

static void
undo(struct startup *s)
{
    pf_listeners_shut(s->listeners); /* without effect if the doors were closed */
    pf_listeners_close(s->listeners);
    pf_turn_close(&s->turn);
    pf_daemon_finish(&s->daemonized);
    if (pf_daemon_tell(&s->daemonized, s->error->exit_code, s->error->text))
        s->error->text[0] = '\0'; /* said: not twice */
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

int
pf_startup_run(struct prefork *p, const struct pf_config *config,
               struct pf_listeners *listeners, struct pf_error *error)
{
    struct startup *s = pf_memory_new(sizeof *s);

    if (!s) {
        (void)pf_error_set(error, PREFORK_EXIT_SYSTEM, ENOMEM, "out of memory");
        return error->exit_code;
    }
    *s = (struct startup){
        .p = p,
        .config = config,
        .listeners = listeners,
        .daemonized = {.verdict = -1, .pid_fd = -1},
        .error = error,
    };
    pf_fd_fill_stdio();
    pf_master_clear_desk();
    pf_signal_shield();
    if (config->daemon.inet)
        (void)serve_inet(s);
    else if (prepare(s) == 0)
        run(s);
    if (error->exit_code != PREFORK_EXIT_OK)
        pf_startup_fail(app(s), error->text);
    undo(s);
    pf_log_close_sink();
    pf_signal_forget();
    pf_memory_free(s, sizeof *s);
    return error->exit_code;
}
