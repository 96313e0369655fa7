/* From one master to the next.
 *
 * A master that said STOPPING has ended as it was meant to, and one before which none was
 * ever ready has failed to start: both are the end of the keeper too. After any other death
 * comes another master: at once the first time, then after pauses that double, until one
 * was ready and has lived for a while. A start that is refused is a fact for the next try.
 */
#include "keeper/loop.h"
#include "log/log.h"
#include "os/clock.h"
#include "os/fd.h"
#include <prefork/prefork.h>

#include <string.h>
#include <sys/wait.h>

#define FIRST_PAUSE   (100 * PF_MILLISECOND)
#define LONGEST_PAUSE (60 * PF_SECOND)
#define PROOF         PF_SECOND /* a master that was ready and lived so long starts well */

/* The first time at once; a master that cannot live must not cost the machine more than a
 * start now and then. */
static void
choose_pause(struct pf_keeper *k, pf_time now)
{
    if (k->ready && now - k->born >= PROOF)
        k->pause = 0;
    k->deadline = now + k->pause;
    k->pause = k->pause == 0 ? FIRST_PAUSE : 2 * k->pause;
    if (k->pause > LONGEST_PAUSE)
        k->pause = LONGEST_PAUSE;
    k->ready = false;
}

static void
tell_death(const struct pf_keeper *k, pid_t pid, int status, pf_time now)
{
    double pause = (double)(k->deadline - now) / (double)PF_SECOND;

    if (WIFSIGNALED(status))
        pf_log(PREFORK_LOG_ERROR,
               "master %d killed by signal %d (%s)%s; the next one in %.1f s", (int)pid,
               WTERMSIG(status), strsignal(WTERMSIG(status)),
               WCOREDUMP(status) ? ", core dumped" : "", pause);
    else
        pf_log(PREFORK_LOG_ERROR, "master %d ended with status %d; the next one in %.1f s",
               (int)pid, WEXITSTATUS(status), pause);
}

/* Its end was meant, or it is what whoever started the server has to know of. */
static bool
is_the_end(const struct pf_keeper *k)
{
    return k->stopping || k->asked || !k->served;
}

void
pf_keeper_bury(struct pf_keeper *k)
{
    pid_t pid = k->master.pid;
    pf_time now = pf_clock_now();
    int status;

    pf_keeper_hear(k); /* its last words */
    pf_wait_remove(&k->wait, k->master.pidfd);
    if (pf_process_reap(&k->master, &status) < 0)
        return; /* its end has been seen: does not happen */
    k->master.pid = 0;
    if (k->socket >= 0)
        pf_wait_remove(&k->wait, k->socket);
    pf_fd_close(&k->socket);
    if (is_the_end(k) && !WIFSIGNALED(status)) {
        k->phase = PF_KEEPER_OVER;
        k->status = status;
    } else if (is_the_end(k)) {
        pf_keeper_leave(k, status);
    } else {
        k->phase = PF_KEEPER_PAUSE;
        choose_pause(k, now);
        tell_death(k, pid, status, now);
    }
}

/* One whose end would not be seen must not live. */
int
pf_keeper_watch(struct pf_keeper *k)
{
    int r = pf_wait_add(&k->wait, k->socket, PF_KEEPER_TAG_SOCKET);

    if (r == 0)
        r = pf_wait_add(&k->wait, k->master.pidfd, PF_KEEPER_TAG_END);
    if (r < 0) {
        pf_process_abandon(&k->master);
        k->master.pid = 0;
        pf_fd_close(&k->socket);
        return r;
    }
    k->born = pf_clock_now();
    k->phase = PF_KEEPER_MASTER_LIVES;
    k->stopping = false;
    return 0;
}

static int
start(struct pf_keeper *k, int exe)
{
    int its = -1;
    int r = pf_next_socket(k->shelf.lowest, &k->socket, &its);

    if (r < 0)
        return r;
    r = pf_next_start(&k->next, &k->shelf, exe, its, &k->master);
    pf_fd_close(&its);
    if (r < 0) {
        pf_fd_close(&k->socket);
        return r;
    }
    return pf_keeper_watch(k);
}

/* A refusal is a fact for the next try. */
void
pf_keeper_start_next(struct pf_keeper *k, pf_time now)
{
    int exe = pf_shelf_find(&k->shelf, PF_KEEPER_EXECUTABLE);
    int r;

    if (exe < 0) {
        pf_log(PREFORK_LOG_ERROR,
               "there is nothing to start another master from: stopping");
        pf_keeper_leave(k, PREFORK_EXIT_SOFTWARE << 8);
        return;
    }
    r = start(k, exe);
    if (r == 0) {
        pf_log(PREFORK_LOG_NOTICE, "started master %d, with %u descriptors of the last one",
               (int)k->master.pid, k->shelf.count);
        return;
    }
    choose_pause(k, now);
    pf_log(PREFORK_LOG_ERROR, "cannot start another master: %s; trying again in %.1f s",
           strerror(-r), (double)(k->deadline - now) / (double)PF_SECOND);
}
