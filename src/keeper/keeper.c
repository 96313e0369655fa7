/* The keeper: one loop that waits for its master.
 *
 *              it said STOPPING, or no master was ever ready
 *    ┌────────┐ ───────────────────────────────────────────▶ the end, as the master ended
 *    │ master │
 *    │ lives  │ ◀───────────┐
 *    └────────┘             │ started
 *        │ it died       ┌────────┐  SIGTERM, SIGINT, SIGQUIT   ┌─────────┐
 *        └─────────────▶ │ pause  │ ──────────────────────────▶ │ leaving │ ──▶ the end
 *                        └────────┘                             └─────────┘
 *
 * While the master lives it is told what to hold (hear.c), passes signals on (signals.c),
 * and reaps whatever process comes to it: it is the parent of all that lose theirs, so
 * workers whose master died are still found below it. Deaths and births are in births.c,
 * leaving in leave.c.
 *
 * It decides nothing else, reads no settings, and opens nothing: the less it does, the less
 * can end it. What it needs is made before the fork. A master that the keeper's death
 * leaves alone goes on without. */
#include "keeper/keeper.h"

#include "base/text.h"
#include "keeper/loop.h"
#include "log/log.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/memory.h"
#include "os/title.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 64,
    OWN_FDS = 64, /* what the process needs besides, with those that are on their way */
};

/* ---- the loop --------------------------------------------------------------------------
 */

static void
take_event(struct pf_keeper *k, uint64_t tag)
{
    pid_t sender;
    int signum;

    switch (tag) {
    case PF_KEEPER_TAG_SIGNAL:
        while ((signum = pf_signal_next(k->signals, &sender)) != 0)
            pf_keeper_take_signal(k, signum);
        break;
    case PF_KEEPER_TAG_SOCKET: pf_keeper_hear(k); break;
    case PF_KEEPER_TAG_END:
        if (k->phase == PF_KEEPER_MASTER_LIVES)
            pf_keeper_bury(k);
        break;
    default: pf_shelf_look(&k->shelf, (unsigned)(tag - PF_KEEPER_TAG_SHELF)); break;
    }
}

/* But not the master, whose end is an event of its own. */
static void
reap_others(const struct pf_keeper *k)
{
    pid_t pid = pf_process_ended();
    int status;

    while (pid != 0 && pid != k->master.pid) {
        struct pf_process other = {.pid = pid, .pidfd = -1};
        if (pf_process_reap(&other, &status) < 0)
            return;
        pid = pf_process_ended();
    }
}

static void
tend(struct pf_keeper *k)
{
    pf_time now = pf_clock_now();

    if (k->phase == PF_KEEPER_PAUSE && now >= k->deadline)
        pf_keeper_start_next(k, now);
    if (k->phase == PF_KEEPER_LEAVING)
        pf_keeper_go_on_leaving(k, now);
    else
        reap_others(k);
}

PF_NORETURN static void
keep(struct pf_keeper *k)
{
    struct pf_wait_event events[EVENTS_MAX];

    while (k->phase != PF_KEEPER_OVER) {
        pf_time deadline = k->phase == PF_KEEPER_MASTER_LIVES ? PF_NEVER : k->deadline;
        unsigned count = pf_wait_sleep(&k->wait, deadline, events, EVENTS_MAX);
        for (unsigned i = 0; i < count; i++)
            take_event(k, events[i].tag);
        tend(k);
    }
    pf_keeper_end_like(k->status);
}

/* ---- the start -------------------------------------------------------------------------
 */

static void
close_all(struct pf_keeper *k)
{
    pf_shelf_close(&k->shelf);
    pf_next_close(&k->next);
    pf_wait_close(&k->wait);
    pf_signal_close(&k->signals);
    pf_fd_close(&k->socket);
    pf_memory_free(k, sizeof *k);
}

/* Each of them has two numbers, because a child spreads them. What there is no room for is
 * refused when it comes. */
static unsigned
choose_capacity(const struct pf_keeper *k)
{
    unsigned limit = pf_fd_limit();
    unsigned most = limit > OWN_FDS ? (limit - OWN_FDS) / 2 : 0;

    return k->setup.capacity < most ? k->setup.capacity : most;
}

static int
open_all(struct pf_keeper *k, int *ret_its)
{
    int r = pf_wait_open(&k->wait);

    pf_fd_limit_raise();
    if (r == 0)
        r = pf_shelf_open(&k->shelf, choose_capacity(k), &k->wait, PF_KEEPER_TAG_SHELF);
    if (r == 0)
        r = pf_next_open(&k->next);
    if (r == 0)
        r = pf_next_socket(k->shelf.lowest, &k->socket, ret_its);
    if (r == 0)
        r = pf_process_adopt_orphans();
    if (r < 0)
        return r;
    k->signals = pf_signal_open(0);
    return k->signals < 0 ? k->signals
                          : pf_wait_add(&k->wait, k->signals, PF_KEEPER_TAG_SIGNAL);
}

/* The child of the fork: none of this is its own, but that the limit on descriptors was
 * raised, which it does next anyway. */
static void
become_master(struct pf_keeper *k)
{
    close_all(k);
    pf_next_birth();
}

PF_NORETURN static void
become_keeper(struct pf_keeper *k, int *its)
{
    pf_fd_close(its);
    pf_title_set(k->setup.name, "keeper");
    k->setup.forget(k->setup.context);
    if (pf_keeper_watch(k) < 0)
        pf_keeper_end_like(PREFORK_EXIT_SYSTEM << 8);
    keep(k);
}

int
pf_keeper_start(const struct pf_keeper_setup *setup, int *ret_fd, struct pf_error *error)
{
    struct pf_keeper *k = pf_memory_new(sizeof *k);
    int its = -1;
    int r = -ENOMEM;

    if (k) {
        *k =
            (struct pf_keeper){.setup = *setup, .wait.fd = -1, .signals = -1, .socket = -1};
        r = open_all(k, &its);
    }
    if (r == 0) {
        (void)fflush(NULL); /* or both would print it */
        r = pf_process_fork_watched(&k->master);
    }
    if (r > 0)
        become_keeper(k, &its);
    if (r == 0) {
        become_master(k);
        *ret_fd = its;
        return 0;
    }
    pf_fd_close(&its);
    pf_signal_forget();
    if (k)
        close_all(k);
    return pf_error_set(error, PREFORK_EXIT_SYSTEM, -r, "keeper: cannot be started: %s",
                        strerror(-r));
}

/* The pair was made by the process that this one was forked from, or it is not meant. */
static bool
is_from_parent(int fd)
{
    struct ucred maker;
    socklen_t size = sizeof maker;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &maker, &size) == 0 &&
           maker.pid == getppid();
}

int
pf_keeper_join(void)
{
    const char *text = getenv(PF_NEXT_KEEPER);
    uint64_t fd = 0;
    bool is_ours = text && pf_text_number(text, &fd) == 0 && fd <= INT_MAX &&
                   is_from_parent((int)fd) && pf_fd_set_cloexec((int)fd, true) == 0;

    (void)unsetenv(PF_NEXT_KEEPER); /* fails only for names that are none */
    return is_ours ? (int)fd : -1;
}
