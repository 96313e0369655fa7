/* Starting, in order, up to the loop; and the way out in the opposite order.
 *
 *   inherited sockets   before anything forks: LISTEN_PID names this process, and
 *                       SERVER_STARTER_PORT whoever comes first
 *   check               a drop that is not permitted ends the start here
 *   umask               before anything is made
 *   log, access log     with the starter's rights
 *   background          from here on, failures are told to the starter
 *   keeper              (keep.c) stays behind; the master is its child
 *   pid file            locked before anything is bound: a second start ends here
 *   after_init          the program's first word
 *   listeners           with the starter's rights
 *   post_bind_hook
 *   lock of serialize
 *   watched files       while their paths mean what the starter meant
 *   scoreboard_path
 *   privileges          files handed over, chroot, drop; nothing below needs them
 *   pre_loop_hook
 *   the master          (startup.c) allocates what the loop needs
 *   ---------------------------------------------------------------- the line
 *   the loop            nothing may end the master any more but a finished plan
 *
 * A server without workers (min_servers 0) goes this way up to the master, in whose place
 * the work itself begins (solo.c).
 *
 * Each step may fail; then what the earlier ones made is undone, and nothing was started.
 */
#include "master/prepare.h"

#include "log/access_log.h"
#include "log/log.h"
#include "master/keep.h"
#include "master/privileges.h"
#include "net/handed.h"
#include "net/inherit.h"
#include "net/starter.h"
#include "net/tls.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct prefork_app *
app(const struct pf_startup *s)
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
refused(struct pf_startup *s, const char *hook, int result)
{
    return pf_error_set(s->error, PREFORK_EXIT_CONFIG, ECANCELED,
                        "%s refused to start (%d)", hook, result);
}

static int
call(struct pf_startup *s, const char *name, int (*hook)(struct prefork *p, void *data))
{
    int r = hook ? hook(s->p, app(s)->data) : 0;

    return r == 0 ? 0 : refused(s, name, r);
}

static int
call_plain(struct pf_startup *s, const char *name, int (*hook)(void *data))
{
    int r = hook ? hook(app(s)->data) : 0;

    return r == 0 ? 0 : refused(s, name, r);
}

static void
set_umask(const struct pf_startup *s)
{
    if (s->config->daemon.has_umask)
        (void)umask(s->config->daemon.umask); /* it gives the old one and cannot fail */
}

/* What was refused is the value of this setting. */
static int
blame(struct pf_startup *s, int r, const char *key, unsigned index)
{
    if (r < 0)
        pf_config_blame(s->config, key, index, s->error);
    return r;
}

static int
open_logs(struct pf_startup *s)
{
    const char *access_log = s->config->daemon.access_log;
    int r = pf_log_open_sink(&s->config->daemon.log, s->error);

    if (r < 0)
        return blame(s, r, "log_file", 0);
    if (access_log)
        r = pf_access_log_open(access_log, s->error);
    return blame(s, r, "access_log_path", 0);
}

/* The service manager started this process, or the one whose place it has taken. */
static void
open_herald(struct pf_startup *s)
{
    if (s->from && s->from->kind != PF_STATE_ADOPT) {
        s->herald = (struct pf_herald){.fd = s->from->fds[PF_STATE_FD_NOTIFY],
                                       .watchdog = s->from->watchdog,
                                       .forked = s->from->forked,
                                       .said = PF_HERALD_RELOADING};
    } else {
        pf_herald_open(&s->herald);
        s->herald.forked = s->daemonized.verdict >= 0;
    }
    s->herald.main = s->keeper >= 0 ? getppid() : getpid();
}

/* The file that the master before has, if there it is to stay. */
static bool
keeps_pid_file(const struct pf_startup *s)
{
    const char *path = s->config->daemon.pid_file;

    return path && s->from->fds[PF_STATE_FD_PID] >= 0 &&
           strcmp(path, s->from->pid_file) == 0;
}

static int
take_over_pid(struct pf_startup *s)
{
    const struct pf_state *from = s->from;
    bool keeps = keeps_pid_file(s);
    struct pf_daemonized *d = keeps ? &s->daemonized : &s->before;

    if (from->fds[PF_STATE_FD_PID] >= 0)
        pf_daemon_take_over(d, keeps ? s->config->daemon.pid_file : from->pid_file,
                            from->fds[PF_STATE_FD_PID]);
    if (!keeps)
        return pf_daemon_write_pid(&s->daemonized, s->config->daemon.pid_file, s->error);
    return from->kind == PF_STATE_ADOPT ? pf_daemon_rewrite_pid(d, s->error) : 0;
}

static int
write_pid(struct pf_startup *s)
{
    int r = s->from
                ? take_over_pid(s)
                : pf_daemon_write_pid(&s->daemonized, s->config->daemon.pid_file, s->error);

    return blame(s, r, "pid_file", 0);
}

/* What was executed in the place of a master is there. */
static int
go_to_place(struct pf_startup *s)
{
    if (!s->from || s->from->kind == PF_STATE_ADOPT)
        return pf_keep_go_to_place(s);
    s->keeper = s->from->fds[PF_STATE_FD_STORE];
    return 0;
}

/* Sockets are open again, in a program that others may have been before. */
static void
call_reopened(const struct pf_startup *s)
{
    if (s->from && app(s)->restart_open_hook)
        app(s)->restart_open_hook(app(s)->data);
}

/* What config/ refuses for ports, for sockets that were handed in. */
static int
check_inherited(struct pf_startup *s)
{
    const struct pf_listeners *ls = s->listeners;

    for (unsigned i = 0; i < ls->count; i++) {
        if (pf_proto_is_datagram(ls->table[i].proto) &&
            s->config->recipe.handler == PF_HANDLER_NOWAIT)
            return pf_error_set(s->error, PREFORK_EXIT_CONFIG, EINVAL,
                                "handed in: %s is for datagrams, which a program that is "
                                "started for each connection cannot read: use handler wait",
                                ls->table[i].address);
    }
    return 0;
}

/* A loop of the program's own needs no port, and sockets that were handed in stand for
 * the port that nobody set. */
static int
open_listeners(struct pf_startup *s)
{
    const struct pf_config *config = s->config;

    if (config->endpoints_by_default &&
        (pf_listeners_are_inherited(s->listeners) || app(s)->main_loop))
        return 0;
    for (unsigned i = 0; i < config->endpoint_count; i++) {
        int r =
            pf_listeners_open(s->listeners, &config->endpoints[i], note, NULL, s->error);
        if (r < 0)
            return blame(s, r, "port", i);
    }
    pf_tls_prepare(s->listeners);
    if (s->from)
        pf_tls_take_over(s->listeners, s->from->fds[PF_STATE_FD_TICKETS]);
    return 0;
}

static int
open_turn(struct pf_startup *s)
{
    const struct pf_config *config = s->config;

    return blame(s,
                 pf_turn_open(&s->turn, config->recipe.serialize, config->daemon.lock_file,
                              s->error),
                 "lock_file", 0);
}

bool
pf_prepare_reloads(const struct pf_startup *s)
{
    return s->config->reload.every != PF_NEVER && s->config->reload.count > 0;
}

static int
open_watch(struct pf_startup *s)
{
    int r = pf_prepare_reloads(s) ? pf_watch_open(&s->watch) : 0;

    if (r < 0)
        return pf_error_set(s->error, PREFORK_EXIT_SYSTEM, -r,
                            "auto_reload_check_every: cannot open /: %s", strerror(-r));
    if (pf_prepare_reloads(s))
        pf_master_watch_files(&s->watch, &s->config->reload);
    return 0;
}

static int
make_score_file(struct pf_startup *s)
{
    const struct pf_config *config = s->config;
    const char *path = config->daemon.scoreboard_path;
    int64_t now = pf_clock_now() + pf_clock_epoch();

    if (!path)
        return 0;
    return blame(s,
                 pf_score_file_open(&s->score_file, path,
                                    pf_master_capacity(&config->policy),
                                    config->recipe.name, now, note, NULL, s->error),
                 "scoreboard_path", 0);
}

/* Descriptors of it that are nobody else's. */
static int
handed_score(const struct pf_startup *s)
{
    return s->from && !s->keeps_score ? s->from->fds[PF_STATE_FD_SCORE] : -1;
}

/* Beside the one of the master before, until there is no way back. Old workers may be in
 * slots that new ones will not need. */
static int
make_next_score_file(struct pf_startup *s)
{
    const struct pf_config *config = s->config;
    unsigned wanted = pf_master_capacity(&config->policy);
    unsigned needed = pf_state_slots_needed(s->from);
    int64_t now = pf_clock_now() + pf_clock_epoch();

    return blame(s,
                 pf_score_file_make(&s->score_file, config->daemon.scoreboard_path,
                                    wanted > needed ? wanted : needed, config->recipe.name,
                                    now, handed_score(s), s->error),
                 "scoreboard_path", 0);
}

/* A server that serves already can do without. */
static int
do_without_score_file(struct pf_startup *s)
{
    pf_log(PREFORK_LOG_WARNING, "%s; the scoreboard is not written until the next reload",
           s->error->text);
    *s->error = (struct pf_error){0};
    return 0;
}

static int
take_over_score_file(struct pf_startup *s)
{
    const struct pf_config *config = s->config;
    const char *path = config->daemon.scoreboard_path;
    const int *fds = s->from->fds;
    int r;

    if (!path)
        return 0;
    s->keeps_score =
        fds[PF_STATE_FD_SCORE] >= 0 && fds[PF_STATE_FD_PAGES] >= 0 &&
        pf_score_file_adopt(&s->score_file, path, pf_master_capacity(&config->policy),
                            config->recipe.name, fds[PF_STATE_FD_SCORE],
                            fds[PF_STATE_FD_PAGES]) == 0;
    r = s->keeps_score ? 0 : make_next_score_file(s);
    s->score_file.number = s->keeps_score ? s->from->score_number : s->from->births + 1;
    return r < 0 && s->from->kind != PF_STATE_TRIAL ? do_without_score_file(s) : r;
}

static int
open_score_file(struct pf_startup *s)
{
    int r = s->from ? take_over_score_file(s) : make_score_file(s);

    if (r == 0 && !s->from)
        s->score_file.number = 1;
    return r;
}

/* What was handed in from outside. */
static int
inherit(struct pf_startup *s)
{
    int r = pf_inherit_listen_fds(s->listeners, NULL, NULL, s->error);

    return r < 0 ? r : pf_starter_ports(s->listeners, s->error);
}

static int
take_over_listeners(struct pf_startup *s)
{
    for (unsigned i = 0; i < s->from->listener_count; i++) {
        const struct pf_state_listener *l = &s->from->listeners[i];
        int r = pf_listeners_adopt(s->listeners,
                                   &(struct pf_listener_handed){
                                       .fd = l->fd,
                                       .id = l->id,
                                       .proto = (enum pf_proto)l->proto,
                                       .shard = l->shard,
                                       .inherited = l->inherited,
                                       .any_port = l->any_port,
                                       .dev = l->dev,
                                       .ino = l->ino,
                                       .address = l->address,
                                   },
                                   s->error);
        if (r < 0)
            return r;
    }
    return 0;
}

static int
open_given(struct pf_startup *s)
{
    int r = s->from ? take_over_listeners(s) : inherit(s);

    return r < 0 ? r : check_inherited(s);
}

int
pf_prepare(struct pf_startup *s)
{
    int r = open_given(s);

    if (r == 0)
        r = pf_privileges_check(s->config, !s->from, s->error);
    if (r == 0) {
        set_umask(s);
        r = open_logs(s);
    }
    if (r == 0)
        r = go_to_place(s);
    pf_master_take_office(s->config->recipe.name);
    if (r == 0)
        open_herald(s);
    if (r == 0)
        r = write_pid(s);
    if (r == 0)
        r = call_plain(s, "after_init", app(s)->after_init);
    if (r == 0)
        r = open_listeners(s);
    if (r == 0) {
        call_reopened(s);
        r = call(s, "post_bind_hook", app(s)->post_bind_hook);
    }
    if (r == 0)
        r = open_turn(s);
    if (r == 0)
        r = open_watch(s);
    if (r == 0)
        r = open_score_file(s);
    if (s->config->daemon.chroot)
        pf_image_leave(s->image); /* no way leads out */
    if (r == 0)
        r = pf_privileges_give_up(s->config, s->daemonized.pid_fd, s->error);
    if (r == 0)
        r = call_plain(s, "pre_loop_hook", app(s)->pre_loop_hook);
    if (r == 0)
        r = pf_daemon_redirect(&s->config->daemon, s->error);
    return r;
}

/* Old workers go on for a while, and somebody has to look after them. */
static int
check_alone(struct pf_startup *s)
{
    if (!s->config->daemon.alone || s->from->slots == 0)
        return 0;
    return pf_error_set(s->error, PREFORK_EXIT_CONFIG, EBUSY,
                        "min_servers 0 (--min-servers): a pool cannot become a server "
                        "without workers by a reload, because there would be nobody to "
                        "look after its workers until they have finished; stop the server "
                        "and start it again");
}

/* A board that means something else here cannot be gone on with. */
static int
check_board(struct pf_startup *s)
{
    if (s->from->slots == 0 || s->from->slot_bytes == sizeof(struct pf_board_slot))
        return 0;
    return pf_error_set(s->error, PREFORK_EXIT_UNAVAILABLE, EBADMSG,
                        "this program cannot look after the workers that live, because it "
                        "has another layout of what they share with their master; stop the "
                        "server and start it again");
}

int
pf_prepare_check(struct pf_startup *s)
{
    int r = open_given(s);

    s->listeners->rehearsal = true;
    if (r == 0)
        r = check_alone(s);
    if (r == 0)
        r = check_board(s);
    if (r == 0)
        r = pf_privileges_check(s->config, !s->from, s->error);
    if (r == 0) {
        set_umask(s);
        r = open_logs(s);
    }
    if (r == 0)
        r = open_listeners(s);
    pf_listeners_give_back(s->listeners);
    pf_listeners_close(s->listeners);
    return r;
}

void
pf_prepare_forget_files(struct pf_startup *s)
{
    for (unsigned i = 0; s->from && i < s->from->file_count; i++)
        pf_fd_close(&s->from->files[i].fd);
    if (s->from)
        pf_fd_close(&s->from->fds[PF_STATE_FD_TICKETS]);
    if (s->from && !s->keeps_score) {
        pf_fd_close(&s->from->fds[PF_STATE_FD_SCORE]);
        pf_fd_close(&s->from->fds[PF_STATE_FD_PAGES]);
    }
}

/* Whoever gave up root may not be allowed to remove the file, or lives where its path leads
 * elsewhere. What stays says that the server has stopped. */
static void
close_score_file(struct pf_startup *s)
{
    const char *path = s->score_file.path;
    int r = pf_score_file_close(&s->score_file);

    if (r < 0)
        pf_log(PREFORK_LOG_NOTICE, "scoreboard_path %s stays: %s", path, strerror(-r));
}

/* The file of the master before, likewise. */
static void
remove_handed_score(struct pf_startup *s)
{
    int *fds = s->from ? s->from->fds : NULL;
    int r = 0;

    if (handed_score(s) >= 0)
        r = pf_score_file_remove(s->from->score_file, &fds[PF_STATE_FD_SCORE],
                                 &fds[PF_STATE_FD_PAGES]);
    if (r < 0)
        pf_log(PREFORK_LOG_NOTICE, "scoreboard_path %s stays: %s", s->from->score_file,
               strerror(-r));
}

static void
settle_score_file(struct pf_startup *s)
{
    struct pf_error error = {0};

    if (s->score_file.beside &&
        pf_score_file_settle(&s->score_file, handed_score(s), &error) < 0)
        pf_log(PREFORK_LOG_WARNING, "%s", error.text);
    remove_handed_score(s);
}

void
pf_prepare_commit(struct pf_startup *s)
{
    pf_daemon_finish(&s->before);
    settle_score_file(s);
    pf_prepare_forget_files(s);
    pf_prepare_forget_state(s);
}

void
pf_prepare_forget_state(struct pf_startup *s)
{
    if (s->from)
        pf_state_free(s->from);
    pf_memory_free(s->from, sizeof *s->from);
    s->from = NULL;
}

/* Its descriptors are in the state, and so somebody else's to close. */
void
pf_prepare_forget_score(struct pf_startup *s)
{
    if (s->keeps_score) {
        s->score_file.fd = -1;
        s->score_file.page_fd = -1;
    }
    pf_score_file_leave(&s->score_file);
    s->keeps_score = true; /* whichever it is, it is not removed */
}

void
pf_prepare_return(struct pf_startup *s)
{
    if (s->before.pid_fd >= 0)
        pf_daemon_finish(&s->daemonized);
    if (s->score_file.beside)
        close_score_file(s);
}

int
pf_prepare_inet(struct pf_startup *s)
{
    int r = pf_privileges_check(s->config, !s->from, s->error);

    if (r == 0)
        r = open_logs(s);
    if (r == 0)
        r = call_plain(s, "after_init", app(s)->after_init);
    if (r == 0)
        r = call(s, "post_bind_hook", app(s)->post_bind_hook);
    if (r == 0)
        r = pf_privileges_give_up(s->config, -1, s->error);
    if (r == 0)
        r = call_plain(s, "pre_loop_hook", app(s)->pre_loop_hook);
    return r;
}

void
pf_prepare_undo(struct pf_startup *s)
{
    pf_listeners_shut(s->listeners); /* without effect if the doors were closed */
    pf_listeners_close(s->listeners);
    pf_turn_close(&s->turn);
    pf_herald_close(&s->herald);
    pf_fd_close(&s->keeper);
    pf_watch_close(&s->watch);
    close_score_file(s);
    if (s->from && s->from->kind != PF_STATE_CHECK)
        remove_handed_score(s);
    pf_daemon_finish(&s->daemonized);
    pf_daemon_finish(&s->before);
    if (pf_daemon_tell(&s->daemonized, s->error->exit_code, s->error->text))
        s->error->text[0] = '\0'; /* said: not twice */
}
