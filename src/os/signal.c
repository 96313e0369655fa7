/* Signals of the master: one signalfd(2).
 *
 * What the process had at its start (mask, dispositions of SIGPIPE and SIGXFSZ) is kept
 * here, because it has to be given back exactly: to workers, whose code and programs expect
 * it, and to the caller of prefork_run(). What a worker ignores is remembered, because the
 * programs it starts should not. These are the only file-scope variables of the room that a
 * signal has to do with. */
#include "os/signal.h"

#include "base/attr.h"
#include "os/fd.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* SIGCHLD stands for itself: in a worker it is the program's own. */
static const int listened[] = {SIGTERM, SIGINT,  SIGQUIT, SIGHUP,
                               SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU};

static sigset_t mask_at_start;
static struct sigaction pipe_at_start;
static struct sigaction limit_at_start; /* of SIGXFSZ */
static bool is_open PF_PER_WORKER;
static bool mask_is_adopted PF_PER_WORKER;
static pf_signal_set ignored PF_PER_WORKER; /* by pf_signal_ignore() */
static bool is_shielded PF_PER_WORKER;

static sigset_t
listened_set(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < PF_COUNT(listened); i++)
        (void)sigaddset(&set, listened[i]);
    return set;
}

static void
heed_children(void)
{
    struct sigaction heed = {.sa_handler = SIG_DFL};
    struct sigaction was;

    if (sigaction(SIGCHLD, NULL, &was) == 0 && was.sa_handler == SIG_IGN)
        (void)sigaction(SIGCHLD, &heed, NULL);
}

int
pf_signal_open(pf_signal_set more)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set = listened_set();
    int fd;

    for (int signum = 1; signum <= PF_SIGNAL_LAST; signum++) {
        if (pf_signal_is_in(more, signum))
            (void)sigaddset(&set, signum);
    }
    (void)sigaddset(&set, SIGCHLD);
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (sigprocmask(SIG_BLOCK, &set, mask_is_adopted ? NULL : &mask_at_start) < 0) {
        int errnum = errno;
        (void)close(fd);
        return -errnum;
    }
    (void)sigaction(SIGPIPE, &ignore, &pipe_at_start);
    heed_children();
    is_open = true;
    return fd;
}

int
pf_signal_next(int fd, pid_t *ret_sender)
{
    struct signalfd_siginfo info;
    ssize_t n;

    do
        n = read(fd, &info, sizeof info);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof info)
        return 0;
    *ret_sender = (pid_t)info.ssi_pid;
    return (int)info.ssi_signo;
}

void
pf_signal_close(int *fd)
{
    pf_fd_close(fd);
}

void
pf_signal_shield(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    if (!is_shielded)
        (void)sigaction(SIGXFSZ, &ignore, &limit_at_start);
    is_shielded = true;
}

void
pf_signal_drain(void)
{
    const struct timespec at_once = {0};
    sigset_t set = listened_set();

    while (is_open && sigtimedwait(&set, NULL, &at_once) > 0)
        continue;
}

void
pf_signal_forget(void)
{
    if (is_shielded)
        (void)sigaction(SIGXFSZ, &limit_at_start, NULL);
    is_shielded = false;
    if (!is_open)
        return;
    is_open = false;
    mask_is_adopted = false;
    (void)sigaction(SIGPIPE, &pipe_at_start, NULL);
    (void)sigprocmask(SIG_SETMASK, &mask_at_start, NULL);
}

pf_signal_set
pf_signal_at_start(void)
{
    pf_signal_set mask = 0;

    for (int signum = 1; signum <= PF_SIGNAL_LAST; signum++) {
        if (sigismember(&mask_at_start, signum) == 1)
            mask |= (pf_signal_set)1 << (signum - 1);
    }
    return mask;
}

void
pf_signal_hand_over(void)
{
    (void)sigaction(SIGXFSZ, &limit_at_start, NULL);
    (void)sigaction(SIGPIPE, &pipe_at_start, NULL);
}

void
pf_signal_take_back(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGXFSZ, &ignore, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

void
pf_signal_adopt(pf_signal_set mask)
{
    (void)sigemptyset(&mask_at_start);
    for (int signum = 1; signum <= PF_SIGNAL_LAST; signum++) {
        if (pf_signal_is_in(mask, signum))
            (void)sigaddset(&mask_at_start, signum);
    }
    mask_is_adopted = true;
}

void
pf_signal_handle_end(void (*handler)(int signum))
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction end = {.sa_handler = handler};

    /* One of them is enough: the handler must not interrupt itself. */
    (void)sigemptyset(&end.sa_mask);
    (void)sigaddset(&end.sa_mask, SIGTERM);
    (void)sigaddset(&end.sa_mask, SIGINT);
    (void)sigaddset(&end.sa_mask, SIGQUIT);
    (void)sigaction(SIGTERM, &end, NULL);
    (void)sigaction(SIGINT, &end, NULL);
    (void)sigaction(SIGQUIT, &end, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGXFSZ, &ignore, NULL);
}

void
pf_signal_handle_hangup(void (*handler)(int signum))
{
    struct sigaction leave = {.sa_handler = handler, .sa_flags = SA_RESTART};

    (void)sigemptyset(&leave.sa_mask);
    (void)sigaction(SIGHUP, &leave, NULL);
}

/* ---- master and worker in one process --------------------------------------------- */

static struct sigaction caught_before[PF_COUNT(listened)];
static void (*catcher)(int signum, bool by_us);

/* A timer, or a descriptor that says so by a signal: none of these is a person, or a
 * terminal that was hung up. */
static bool
is_by_us(int code)
{
    return code == SI_TIMER || (code >= POLL_IN && code <= POLL_HUP);
}

static void
hand_on(int signum, siginfo_t *info, void *context)
{
    int errnum = errno;

    (void)context;
    catcher(signum, is_by_us(info->si_code));
    errno = errnum;
}

/* What ends the process also ends the waiting of the program's own code; after the others
 * that goes on. */
static struct sigaction
reaction(int signum)
{
    struct sigaction action = {.sa_sigaction = hand_on, .sa_flags = SA_SIGINFO};

    if (signum == SIGTTIN || signum == SIGTTOU)
        return (struct sigaction){.sa_handler = SIG_IGN};
    if (signum == SIGHUP || signum == SIGUSR1 || signum == SIGUSR2)
        action.sa_flags |= SA_RESTART;
    action.sa_mask = listened_set();
    return action;
}

void
pf_signal_catch(void (*handler)(int signum, bool by_us))
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set = listened_set();

    catcher = handler;
    for (size_t i = 0; i < PF_COUNT(listened); i++) {
        struct sigaction action = reaction(listened[i]);
        (void)sigaction(listened[i], &action, &caught_before[i]);
    }
    if (is_open) { /* once more, after pf_signal_let_go() */
        (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
        return;
    }
    (void)sigaction(SIGPIPE, &ignore, &pipe_at_start);
    (void)sigprocmask(SIG_UNBLOCK, &set, mask_is_adopted ? NULL : &mask_at_start);
    is_open = true;
}

void
pf_signal_let_go(void)
{
    sigset_t set = listened_set();

    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    for (size_t i = 0; i < PF_COUNT(listened); i++)
        (void)sigaction(listened[i], &caught_before[i], NULL);
}

void
pf_signal_admit(void)
{
    sigset_t set = listened_set();

    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void
pf_signal_default(int signum)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    (void)sigaction(signum, &action, NULL);
    (void)raise(signum); /* comes when the handler returns */
}

void
pf_signal_ignore(int signum)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction was;

    if (sigaction(signum, &ignore, &was) < 0)
        return;
    if (was.sa_handler == SIG_DFL)
        ignored |= (pf_signal_set)1 << (signum - 1);
    else
        (void)sigaction(signum, &was, NULL);
}

bool
pf_signal_is_ignored(int signum)
{
    return pf_signal_is_in(ignored, signum);
}

const char *
pf_signal_name(int signum)
{
    const char *name = sigabbrev_np(signum);

    return name ? name : "unknown";
}
