/* The public calls between a worker and its master. */
#include "master/master.h"
#include "worker/worker.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <signal.h>
#include <string.h>

void
prefork_stop(const char *reason)
{
    struct prefork_worker *w = pf_worker_here();
    int errnum = errno; /* a signal handler's caller has one of his own */

    if (w && !w->alone)
        pf_worker_stop_server(w, reason ? reason : "");
    else if (pf_master_want_stop(reason ? reason : "") && w)
        (void)raise(SIGTERM); /* the rest of it */
    errno = errnum;
}

bool
prefork_is_parent(void)
{
    return pf_master_is_here();
}

void
prefork_done(struct prefork_worker *w)
{
    pf_worker_leave(w);
}

int
prefork_tell_parent(struct prefork_worker *w, const char *line)
{
    return strchr(line, '\n') ? -EINVAL : pf_worker_tell(w, line);
}

int
prefork_parent_fd(const struct prefork_worker *w)
{
    return w->heritage.wire;
}

int
prefork_child_fd(pid_t pid)
{
    return pf_master_child_fd(pid);
}
