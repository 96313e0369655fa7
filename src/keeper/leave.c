/* The end of the keeper.
 *
 * Workers do not notice that a master dies, because the other end of their channel is on
 * the shelf. That is also how they learn that there will be none: the shelf is cleared,
 * each finds its channel closed, serves its connection to the end and leaves. Who does not
 * is signalled: after stop_timeout by SIGTERM, after kill_timeout by SIGKILL, and after
 * that once more the keeper goes without them.
 *
 * Whoever started the server waits for this process, and is to see what became of the
 * master. */
#include "keeper/loop.h"
#include "os/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Whoever waits for this process sees what the master did. A core is the master's affair,
 * and process 1 cannot be ended by a signal of its own. */
PF_NORETURN void
pf_keeper_end_like(int status)
{
    const struct rlimit none = {0};
    sigset_t set;

    if (!WIFSIGNALED(status))
        pf_process_exit(WEXITSTATUS(status));
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(WTERMSIG(status), SIG_DFL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, WTERMSIG(status));
    (void)raise(WTERMSIG(status));
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    pf_process_exit(128 + WTERMSIG(status));
}

void
pf_keeper_leave(struct pf_keeper *k, int status)
{
    k->phase = PF_KEEPER_LEAVING;
    k->status = status;
    k->deadline = pf_time_after(pf_clock_now(), k->setup.stop_timeout);
    pf_shelf_clear(&k->shelf);
}

static bool
is_nobody(void *context, pid_t pid)
{
    (void)context;
    (void)pid;
    return false;
}

/* From waiting to SIGTERM to SIGKILL to going without them. */
static void
step(struct pf_keeper *k, pf_time now)
{
    if (k->signum == SIGKILL)
        k->phase = PF_KEEPER_OVER;
    k->signum = k->signum == 0 ? SIGTERM : SIGKILL;
    k->deadline = pf_time_after(now, k->setup.kill_timeout);
}

/* Who ends orphans its own children to us in turn, so those that are left are looked for
 * anew each time. */
void
pf_keeper_go_on_leaving(struct pf_keeper *k, pf_time now)
{
    if (!pf_process_reap_children()) {
        k->phase = PF_KEEPER_OVER;
        return;
    }
    if (now >= k->deadline)
        step(k, now);
    if (k->signum != 0)
        (void)pf_process_signal_orphans(k->signum, is_nobody, NULL);
}
