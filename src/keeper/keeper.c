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
 * While the master lives it is told what to hold, passes signals on, and reaps whatever
 * process comes to it: it is the parent of all that lose theirs, so workers whose master
 * died are still found below it.
 *
 * Workers do not notice that a master dies, because the other end of their channel is on
 * the shelf. That is also how they learn that there will be none: the shelf is cleared,
 * each finds its channel closed, serves its connection to the end and leaves. Who does not
 * is signalled.
 *
 * It decides nothing else, reads no settings, and opens nothing: the less it does, the less
 * can end it. What it needs is made before the fork. A master that the keeper's death
 * leaves alone goes on without. */
#include "keeper/keeper.h"

#include "base/text.h"
#include "keeper/next.h"
#include "keeper/shelf.h"
#include "keeper/word.h"
#include "log/log.h"
#include "log/outlet.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/memory.h"
#include "os/notify.h"
#include "os/process.h"
#include "os/signal.h"
#include "os/title.h"
#include "os/wait.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 64,
    MESSAGE_BYTES = 1024,
    OWN_FDS = 64, /* what the process needs besides, with those that are on their way */
};

enum tag {
    TAG_SIGNAL,
    TAG_SOCKET,
    TAG_END, /* of the master */
    TAG_SHELF,
};

#define FIRST_PAUSE   (100 * PF_MILLISECOND)
#define LONGEST_PAUSE (60 * PF_SECOND)
#define PROOF         PF_SECOND /* a master that was ready and lived so long starts well */

enum phase {
    MASTER_LIVES,
    PAUSE,
    LEAVING,
    OVER,
};

struct keeper {
    struct pf_keeper_setup setup;
    struct pf_wait wait;
    struct pf_shelf shelf;
    struct pf_next next;
    int signals;
    int socket;               /* to the master */
    struct pf_process master; /* pid 0: none lives */
    pf_time born;             /* the master */
    bool ready;               /* it said so ... */
    bool served;              /* ... or one before it did */
    bool stopping;            /* it said that its end is meant */
    bool asked;               /* somebody else asked for the end */
    bool told_refusal;
    pf_signal_set held; /* for the master, once it is ready */
    enum phase phase;
    pf_time deadline; /* PAUSE: the next start; LEAVING: the next step */
    pf_time pause;    /* before the start after the next */
    int signum;       /* LEAVING: what who is left is sent; 0: nothing yet */
    int status;       /* to end with, as of wait(2) */
};

/* ---- the end ------------------------------------------------------------------------- */

/* Whoever waits for this process sees what the master did. A core is the master's affair,
 * and process 1 cannot be ended by a signal of its own. */
PF_NORETURN static void
end_like(int status)
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

static void
leave(struct keeper *k, int status)
{
    k->phase = LEAVING;
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
step(struct keeper *k, pf_time now)
{
    if (k->signum == SIGKILL)
        k->phase = OVER;
    k->signum = k->signum == 0 ? SIGTERM : SIGKILL;
    k->deadline = pf_time_after(now, k->setup.kill_timeout);
}

/* Who ends orphans its own children to us in turn, so those that are left are looked for
 * anew each time. */
static void
go_on_leaving(struct keeper *k, pf_time now)
{
    if (!pf_process_reap_children()) {
        k->phase = OVER;
        return;
    }
    if (now >= k->deadline)
        step(k, now);
    if (k->signum != 0)
        (void)pf_process_signal_orphans(k->signum, is_nobody, NULL);
}

/* ---- signals ------------------------------------------------------------------------- */

static bool
is_end(int signum)
{
    return signum == SIGTERM || signum == SIGINT || signum == SIGQUIT;
}

/* By default these end a process, and one that is starting has not seen to them yet. */
static void
pass_on(struct keeper *k, int signum)
{
    if (!k->ready && !is_end(signum))
        k->held |= (pf_signal_set)1 << (signum - 1);
    else
        (void)pf_process_signal_alone(&k->master, signum); /* -ESRCH: it ends just now */
}

static void
pass_on_held(struct keeper *k)
{
    pf_signal_set held = k->held;

    k->held = 0;
    for (int signum = 1; signum <= PF_SIGNAL_LAST; signum++) {
        if (pf_signal_is_in(held, signum))
            pass_on(k, signum);
    }
}

static void
take_signal(struct keeper *k, int signum)
{
    if (signum == SIGCHLD)
        return;
    k->asked = k->asked || is_end(signum);
    if (k->phase == MASTER_LIVES || !is_end(signum)) {
        pass_on(k, signum);
    } else {
        pf_log(PREFORK_LOG_NOTICE, "SIG%s: no master lives: stopping%s",
               pf_signal_name(signum), k->phase == LEAVING ? " faster" : "");
        if (k->phase == LEAVING)
            k->deadline = 0;
        else
            leave(k, EXIT_SUCCESS);
    }
}

/* ---- what the master says --------------------------------------------------------------
 */

static void
store(struct keeper *k, const char *name, int fd)
{
    int r = pf_shelf_put(&k->shelf, name, fd);

    if (r < 0 && !k->told_refusal)
        pf_log(PREFORK_LOG_WARNING,
               "cannot keep %s: %s; a next master will have to do without%s", name,
               strerror(-r),
               r == -ENOSPC ? " (the limit on open descriptors decides how many)" : "");
    k->told_refusal = r < 0;
}

/* Either a thing to keep, or where lines go. */
static void
take_fd(struct keeper *k, const struct pf_word *word, int fd)
{
    static const char log[] = PF_KEEPER_LOG;

    if (!word->store)
        pf_fd_close(&fd);
    else if (pf_text_begins(word->name, log))
        pf_outlet_take(PF_OUTLET_LOG, fd,
                       (uint32_t)strtoul(word->name + sizeof log - 1, NULL, 10));
    else
        store(k, word->name, fd);
}

/* The last moment at which the rights of whoever started the server are needed is over. A
 * server whose keeper cannot give them up must not go on. */
static void
settle(struct keeper *k)
{
    struct pf_error error = {0};

    if (k->served || k->setup.settle(k->setup.context, &error) == 0)
        return;
    pf_log(PREFORK_LOG_ERROR, "keeper: %s", error.text);
    k->asked = true;
    pass_on(k, SIGTERM);
}

static void
take_word(struct keeper *k, const struct pf_word *word)
{
    if (word->errnum != 0)
        pf_log(PREFORK_LOG_ERROR, "cannot execute another master: %s",
               strerror(word->errnum));
    if (word->stopping)
        k->stopping = true;
    if (word->remove)
        pf_shelf_remove(&k->shelf, word->name);
    if (!word->ready || k->ready)
        return;
    k->ready = true;
    settle(k);
    k->served = true;
    pass_on_held(k);
}

/* All there is. At its end nobody is there to say more; that the master ended is told by
 * its pidfd. */
static void
listen_to_master(struct keeper *k)
{
    int fds[PF_NOTIFY_FDS_MAX];
    char text[MESSAGE_BYTES];
    unsigned count;
    int r;

    while (k->socket >= 0) {
        struct pf_word word;
        r = pf_notify_receive(k->socket, text, sizeof text, fds, &count);
        if (r == -EAGAIN)
            return;
        if (r < 0) {
            pf_wait_remove(&k->wait, k->socket);
            pf_fd_close(&k->socket);
            return;
        }
        pf_word_read(text, &word);
        for (unsigned i = 0; i < count; i++)
            take_fd(k, &word, fds[i]);
        take_word(k, &word);
    }
}

/* ---- from one master to the next -------------------------------------------------------
 */

/* The first time at once; a master that cannot live must not cost the machine more than a
 * start now and then. */
static void
choose_pause(struct keeper *k, pf_time now)
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
tell_death(const struct keeper *k, pid_t pid, int status, pf_time now)
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
is_the_end(const struct keeper *k)
{
    return k->stopping || k->asked || !k->served;
}

static void
bury_master(struct keeper *k)
{
    pid_t pid = k->master.pid;
    pf_time now = pf_clock_now();
    int status;

    listen_to_master(k); /* its last words */
    pf_wait_remove(&k->wait, k->master.pidfd);
    if (pf_process_reap(&k->master, &status) < 0)
        return; /* its end has been seen: does not happen */
    k->master.pid = 0;
    if (k->socket >= 0)
        pf_wait_remove(&k->wait, k->socket);
    pf_fd_close(&k->socket);
    if (is_the_end(k) && !WIFSIGNALED(status)) {
        k->phase = OVER;
        k->status = status;
    } else if (is_the_end(k)) {
        leave(k, status);
    } else {
        k->phase = PAUSE;
        choose_pause(k, now);
        tell_death(k, pid, status, now);
    }
}

/* One whose end would not be seen must not live. */
static int
watch(struct keeper *k)
{
    int r = pf_wait_add(&k->wait, k->socket, TAG_SOCKET);

    if (r == 0)
        r = pf_wait_add(&k->wait, k->master.pidfd, TAG_END);
    if (r < 0) {
        pf_process_abandon(&k->master);
        k->master.pid = 0;
        pf_fd_close(&k->socket);
        return r;
    }
    k->born = pf_clock_now();
    k->phase = MASTER_LIVES;
    k->stopping = false;
    return 0;
}

static int
start(struct keeper *k, int exe)
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
    return watch(k);
}

/* A refusal is a fact for the next try. */
static void
start_next(struct keeper *k, pf_time now)
{
    int exe = pf_shelf_find(&k->shelf, PF_KEEPER_EXECUTABLE);
    int r;

    if (exe < 0) {
        pf_log(PREFORK_LOG_ERROR,
               "there is nothing to start another master from: stopping");
        leave(k, PREFORK_EXIT_SOFTWARE << 8);
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

/* ---- the loop --------------------------------------------------------------------------
 */

static void
take_event(struct keeper *k, uint64_t tag)
{
    int signum;

    switch (tag) {
    case TAG_SIGNAL:
        while ((signum = pf_signal_next(k->signals)) != 0)
            take_signal(k, signum);
        break;
    case TAG_SOCKET: listen_to_master(k); break;
    case TAG_END:
        if (k->phase == MASTER_LIVES)
            bury_master(k);
        break;
    default: pf_shelf_look(&k->shelf, (unsigned)(tag - TAG_SHELF)); break;
    }
}

static bool
is_master(void *context, pid_t pid)
{
    const struct keeper *k = context;

    return pid == k->master.pid;
}

static void
say_nothing(void *context, pid_t pid, int wait_status)
{
    (void)context;
    (void)pid;
    (void)wait_status;
}

static void
tend(struct keeper *k)
{
    pf_time now = pf_clock_now();

    if (k->phase == PAUSE && now >= k->deadline)
        start_next(k, now);
    if (k->phase == LEAVING)
        go_on_leaving(k, now);
    else
        pf_process_reap_orphans(is_master, say_nothing, k);
}

PF_NORETURN static void
keep(struct keeper *k)
{
    struct pf_wait_event events[EVENTS_MAX];

    while (k->phase != OVER) {
        pf_time deadline = k->phase == MASTER_LIVES ? PF_NEVER : k->deadline;
        unsigned count = pf_wait_sleep(&k->wait, deadline, events, EVENTS_MAX);
        for (unsigned i = 0; i < count; i++)
            take_event(k, events[i].tag);
        tend(k);
    }
    end_like(k->status);
}

/* ---- the start -------------------------------------------------------------------------
 */

static void
close_all(struct keeper *k)
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
choose_capacity(const struct keeper *k)
{
    unsigned limit = pf_fd_limit();
    unsigned most = limit > OWN_FDS ? (limit - OWN_FDS) / 2 : 0;

    return k->setup.capacity < most ? k->setup.capacity : most;
}

static int
open_all(struct keeper *k, int *ret_its)
{
    int r = pf_wait_open(&k->wait);

    pf_fd_limit_raise();
    if (r == 0)
        r = pf_shelf_open(&k->shelf, choose_capacity(k), &k->wait, TAG_SHELF);
    if (r == 0)
        r = pf_next_open(&k->next);
    if (r == 0)
        r = pf_next_socket(k->shelf.lowest, &k->socket, ret_its);
    if (r == 0)
        r = pf_process_adopt_orphans();
    if (r < 0)
        return r;
    k->signals = pf_signal_open(true, 0);
    return k->signals < 0 ? k->signals : pf_wait_add(&k->wait, k->signals, TAG_SIGNAL);
}

/* The child of the fork: none of this is its own, but that the limit on descriptors was
 * raised, which it does next anyway. */
static void
become_master(struct keeper *k)
{
    close_all(k);
    pf_next_birth();
}

PF_NORETURN static void
become_keeper(struct keeper *k, int *its)
{
    pf_fd_close(its);
    pf_title_set(k->setup.name, "keeper");
    k->setup.forget(k->setup.context);
    if (watch(k) < 0)
        end_like(PREFORK_EXIT_SYSTEM << 8);
    keep(k);
}

int
pf_keeper_start(const struct pf_keeper_setup *setup, int *ret_fd, struct pf_error *error)
{
    struct keeper *k = pf_memory_new(sizeof *k);
    int its = -1;
    int r = -ENOMEM;

    if (k) {
        *k = (struct keeper){.setup = *setup, .wait.fd = -1, .signals = -1, .socket = -1};
        r = open_all(k, &its);
    }
    if (r == 0) {
        (void)fflush(NULL); /* or both would print it */
        r = pf_process_fork(&k->master);
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
