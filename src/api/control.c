/* The public calls about a server that another process runs. */
#include "base/text.h"
#include "control/asking.h"
#include "control/running.h"
#include "os/fd.h"
#include <prefork/prefork.h>

/* Where nobody wants the sentence it is written all the same. */
static void
open_text(struct pf_text *t, char *text, size_t size, char spare[1])
{
    if (text && size > 0)
        pf_text_init(t, text, size);
    else
        pf_text_init(t, spare, 1);
}

static pf_time
span_of(double seconds)
{
    return seconds >= 0 && seconds < 1e9 ? (pf_time)(seconds * PF_SECOND) : PF_NEVER;
}

int
prefork_check_pidfile(const char *path, pid_t *ret_pid, char *text, size_t size)
{
    struct pf_process server;
    struct pf_text what;
    char spare[1];
    int r;

    open_text(&what, text, size, spare);
    r = pf_running_find(path, &server, &what);
    if (r != PREFORK_PIDFILE_RUNNING)
        return r;
    pf_fd_close(&server.pidfd);
    if (ret_pid)
        *ret_pid = server.pid;
    return r;
}

int
prefork_kill_running(const char *path, bool graceful, double timeout, char *text,
                     size_t size)
{
    struct pf_text what;
    char spare[1];

    open_text(&what, text, size, spare);
    return pf_running_stop(path, graceful, span_of(timeout), &what);
}

static int
ask(const char *path, enum pf_request_kind kind, bool wait, double timeout, char *text,
    size_t size)
{
    struct pf_text what;
    char spare[1];

    open_text(&what, text, size, spare);
    return pf_asking(path, kind, wait, span_of(timeout), &what);
}

int
prefork_reload_running(const char *path, bool wait, double timeout, char *text, size_t size)
{
    return ask(path, PF_REQUEST_RELOAD, wait, timeout, text, size);
}

int
prefork_restart_running(const char *path, bool wait, double timeout, char *text,
                        size_t size)
{
    return ask(path, PF_REQUEST_RESTART_WORKERS, wait, timeout, text, size);
}
