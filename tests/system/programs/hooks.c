/* hooks: every hook says its name, its arguments and whether it got the app's data.
 *
 * Lines are "hook NAME arguments"; the log shows the process before them. The first line of
 * a connection decides: "no" is denied, anything else is served. With the environment
 * variable REFUSE the hook of that name refuses to go on. */
#include <prefork/prefork.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int magic;

#define SAY(data, ...) say(__func__, data, __VA_ARGS__)

__attribute__((format(printf, 3, 4))) static int
say(const char *hook, const void *data, const char *format, ...)
{
    const char *refuse = getenv("REFUSE");
    char text[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    prefork_log(PREFORK_LOG_NOTICE, "hook %s%s%s%s", hook, *text ? " " : "", text,
                data == &magic ? "" : " WITHOUT DATA");
    return refuse && strcmp(refuse, hook) == 0 ? 3 : 0;
}

static int
configure_hook(struct prefork *p, void *data)
{
    if (prefork_set(p, "max_requests", "777") < 0)
        return -1;
    return SAY(data, "%s", "");
}

static int
post_configure_hook(struct prefork *p, void *data)
{
    return SAY(data, "listener=%s", prefork_listener_text(p, 0) ? "bound" : "none");
}

static int
after_init(void *data)
{
    return SAY(data, "%s", "");
}

static int
post_bind_hook(struct prefork *p, void *data)
{
    return SAY(data, "listener=%s", prefork_listener_text(p, 0));
}

static int
pre_loop_hook(void *data)
{
    return SAY(data, "%s", "");
}
static void
run_n_children_hook(unsigned n, void *data)
{
    SAY(data, "n=%u", n);
}
static void
pre_fork_hook(enum prefork_kind kind, void *data)
{
    SAY(data, "kind=%d", kind);
}
static void
register_child(pid_t pid, enum prefork_kind kind, void *data)
{
    SAY(data, "pid=%d kind=%d", (int)pid, kind);
}

static void
idle_loop_hook(void *data)
{
    static bool said;

    if (!said)
        SAY(data, "%s", "");
    said = true;
}

static void
cleanup_dead_child_hook(const struct prefork_child *child, void *data)
{
    int status = child->wait_status;

    SAY(data, "pid=%d kind=%d slot=%u %s=%d requests=%lu ready=%d age=%s", (int)child->pid,
        child->kind, child->slot, WIFSIGNALED(status) ? "signal" : "status",
        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), child->requests,
        child->ready, child->age > 0 ? "positive" : "zero");
}

static void
delete_child_hook(pid_t pid, void *data)
{
    SAY(data, "pid=%d", (int)pid);
}

static void
restart_close_hook(void *data)
{
    SAY(data, "%s", "");
}
static void
restart_open_hook(void *data)
{
    SAY(data, "%s", "");
}

static int
child_init_hook(struct prefork_worker *w, void *data)
{
    return SAY(data, "requests=%lu kind=%d", prefork_requests(w), prefork_kind(w));
}

static void
child_finish_hook(struct prefork_worker *w, void *data)
{
    SAY(data, "requests=%lu kind=%d", prefork_requests(w), prefork_kind(w));
}

static void
pre_accept_hook(struct prefork_worker *w, void *data)
{
    SAY(data, "requests=%lu", prefork_requests(w));
}

static void
dequeue(struct prefork_worker *w, void *data)
{
    SAY(data, "kind=%d stopping=%d", prefork_kind(w), prefork_stopping(w));
}

static bool
can_read_hook(struct prefork_worker *w, int listener_fd, void *data)
{
    int listens = 0;
    socklen_t size = sizeof listens;

    (void)getsockopt(listener_fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
    SAY(data, "listens=%d requests=%lu", listens, prefork_requests(w));
    return false;
}

static void
post_accept_hook(struct prefork_conn *c, void *data)
{
    SAY(data, "peer=%s", prefork_peer_text(c));
}

static bool
allow_deny_hook(struct prefork_conn *c, void *data)
{
    char line[80];

    SAY(data, "peer=%s", prefork_peer_text(c));
    return prefork_gets(c, line, sizeof line) > 0 && strcmp(line, "no\n") != 0;
}

static void
process_request(struct prefork_conn *c, void *data)
{
    SAY(data, "requests=%lu", prefork_requests(prefork_conn_worker(c)));
    (void)prefork_printf(c, "served\n");
}

static void
request_denied_hook(struct prefork_conn *c, void *data)
{
    SAY(data, "requests=%lu", prefork_requests(prefork_conn_worker(c)));
    (void)prefork_printf(c, "denied\n");
}

static void
post_process_request_hook(struct prefork_conn *c, bool allowed, void *data)
{
    int r = prefork_printf(c, "still open\n");

    SAY(data, "allowed=%d write=%d", allowed, r);
}

static void
post_client_connection_hook(struct prefork_worker *w, void *data)
{
    SAY(data, "requests=%lu", prefork_requests(w));
}

static void
before_shutdown(const char *reason, void *data)
{
    SAY(data, "reason=%s", reason);
}
static void
pre_server_close_hook(void *data)
{
    SAY(data, "%s", "");
}
static void
post_child_cleanup_hook(void *data)
{
    SAY(data, "%s", "");
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){
                            .name = "hooks",
                            .data = &magic,
                            .configure_hook = configure_hook,
                            .post_configure_hook = post_configure_hook,
                            .after_init = after_init,
                            .post_bind_hook = post_bind_hook,
                            .pre_loop_hook = pre_loop_hook,
                            .run_n_children_hook = run_n_children_hook,
                            .pre_fork_hook = pre_fork_hook,
                            .register_child = register_child,
                            .idle_loop_hook = idle_loop_hook,
                            .cleanup_dead_child_hook = cleanup_dead_child_hook,
                            .delete_child_hook = delete_child_hook,
                            .restart_close_hook = restart_close_hook,
                            .restart_open_hook = restart_open_hook,
                            .child_init_hook = child_init_hook,
                            .child_finish_hook = child_finish_hook,
                            .pre_accept_hook = pre_accept_hook,
                            .can_read_hook = can_read_hook,
                            .post_accept_hook = post_accept_hook,
                            .allow_deny_hook = allow_deny_hook,
                            .process_request = process_request,
                            .request_denied_hook = request_denied_hook,
                            .post_process_request_hook = post_process_request_hook,
                            .post_client_connection_hook = post_client_connection_hook,
                            .dequeue = dequeue,
                            .before_shutdown = before_shutdown,
                            .pre_server_close_hook = pre_server_close_hook,
                            .post_child_cleanup_hook = post_child_cleanup_hook,
                        });
}
