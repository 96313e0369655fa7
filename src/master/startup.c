/* Starting, in order; and the way out in the opposite order.
 *
 *   inherited sockets   before anything forks: LISTEN_PID names this process
 *   log file            with the starter's rights
 *   background          from here on, failures are told to the starter
 *   pid file            locked before anything is bound: a second start ends here
 *   after_init          the program's first word
 *   listeners           with the starter's rights
 *   post_bind_hook
 *   privileges          dropped for good; nothing below needs them
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
#include "net/inherit.h"
#include "net/tls.h"
#include "os/credential.h"
#include "os/fd.h"
#include "os/memory.h"
#include "os/signal.h"
#include "os/title.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct startup {
    struct prefork *p;
    const struct pf_config *config;
    struct pf_listeners *listeners;
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

static int
check_root(struct startup *s)
{
    if (s->config->daemon.require_root && geteuid() != 0)
        return pf_error_set(s->error, PREFORK_EXIT_SYSTEM, EPERM,
                            "require_root: this server must be started by root");
    return 0;
}

static int
open_log(struct startup *s)
{
    const char *path = s->config->daemon.log_file;
    int r = path ? pf_log_open_file(path) : 0;

    if (r < 0)
        return pf_error_set(s->error, PREFORK_EXIT_SYSTEM, -r, "log_file %s: %s", path,
                            strerror(-r));
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
drop_privileges(struct startup *s)
{
    const struct pf_recipe *recipe = &s->config->recipe;

    if (!recipe->drop_privileges)
        return 0;
    return pf_credential_drop(recipe->uid, recipe->gid, recipe->groups, recipe->group_count,
                              s->error);
}

static void
tell_ready(void *context)
{
    struct startup *s = context;

    pf_log(PREFORK_LOG_NOTICE, "ready");
    (void)pf_daemon_tell(&s->daemonized, PREFORK_EXIT_OK, "");
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
                       "no worker became ready; see %s",
                       s->config->daemon.log_file ? s->config->daemon.log_file : "the log");
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
                              .seed = seed(),
                              .on_ready = tell_ready,
                              .on_bad_start = tell_bad_start,
                              .on_fork = forget_in_worker,
                              .context = s,
                          },
                          s->error);
}

static int
prepare(struct startup *s)
{
    int r = pf_inherit_listen_fds(s->listeners, s->error);

    if (r >= 0)
        r = check_root(s);
    if (r == 0)
        r = open_log(s);
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
        r = drop_privileges(s);
    if (r == 0)
        r = call_plain(s, "pre_loop_hook", app(s)->pre_loop_hook);
    if (r == 0)
        r = pf_daemon_redirect(&s->config->daemon, s->error);
    return r == 0 ? open_master(s) : r;
}

static void
tell_start(const struct startup *s)
{
    const struct pf_policy *policy = &s->config->policy;

    for (unsigned i = 0; i < s->listeners->count; i++)
        pf_log(PREFORK_LOG_NOTICE, "listening on %s%s", s->listeners->table[i].address,
               s->listeners->table[i].inherited ? " (inherited)" : "");
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
}

static void
undo(struct startup *s)
{
    pf_listeners_shut(s->listeners); /* without effect if the doors were closed */
    pf_listeners_close(s->listeners);
    pf_daemon_finish(&s->daemonized);
    if (pf_daemon_tell(&s->daemonized, s->error->exit_code, s->error->text))
        s->error->text[0] = '\0'; /* said: not twice */
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
    if (prepare(s) == 0)
        run(s);
    else if (pf_log_fd() != STDERR_FILENO)
        pf_log(PREFORK_LOG_ERROR, "%s", error->text);
    undo(s);
    pf_memory_free(s, sizeof *s);
    return error->exit_code;
}
