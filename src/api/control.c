/* The public calls about a server that another process runs. */
#include "base/text.h"
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
    pf_time span = PF_NEVER;

    open_text(&what, text, size, spare);
    if (timeout >= 0 && timeout < 1e9)
        span = (pf_time)(timeout * PF_SECOND);
    return pf_running_stop(path, graceful, span, &what);
}
