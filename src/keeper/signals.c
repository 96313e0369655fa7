/* Signals to the keeper are meant for the server.
 *
 * All of them are passed on. Those that end a process by default wait for a master that is
 * ready, since one that is starting has not seen to them yet; those that ask for the end do
 * not, for that is what they ask for. Where no master lives they end the keeper, and a
 * second one means faster. */
#include "keeper/loop.h"
#include "log/log.h"
#include <prefork/prefork.h>

#include <signal.h>
#include <stdlib.h>

static bool
is_end(int signum)
{
    return signum == SIGTERM || signum == SIGINT || signum == SIGQUIT;
}

/* By default these end a process, and one that is starting has not seen to them yet. */
void
pf_keeper_pass_on(struct pf_keeper *k, int signum)
{
    if (!k->ready && !is_end(signum))
        k->held |= (pf_signal_set)1 << (signum - 1);
    else
        (void)pf_process_signal_alone(&k->master, signum); /* -ESRCH: it ends just now */
}

void
pf_keeper_pass_on_held(struct pf_keeper *k)
{
    pf_signal_set held = k->held;

    k->held = 0;
    for (int signum = 1; signum <= PF_SIGNAL_LAST; signum++) {
        if (pf_signal_is_in(held, signum))
            pf_keeper_pass_on(k, signum);
    }
}

void
pf_keeper_take_signal(struct pf_keeper *k, int signum)
{
    if (signum == SIGCHLD)
        return;
    k->asked = k->asked || is_end(signum);
    if (k->phase == PF_KEEPER_MASTER_LIVES || !is_end(signum)) {
        pf_keeper_pass_on(k, signum);
    } else {
        pf_log(PREFORK_LOG_NOTICE, "SIG%s: no master lives: stopping%s",
               pf_signal_name(signum), k->phase == PF_KEEPER_LEAVING ? " faster" : "");
        if (k->phase == PF_KEEPER_LEAVING)
            k->deadline = 0;
        else
            pf_keeper_leave(k, EXIT_SUCCESS);
    }
}
