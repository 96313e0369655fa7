/* A question to the server of a pid file.
 *
 * Who that is, is found out as for a signal (running.c): a process that lives and holds the
 * lock of the file. Its control socket has its process id as a name, but that name may be
 * anybody's: what counts is that the kernel names the same process as the one who listens.
 * Then everything it says is the server's word.
 *
 * The server may execute another program meanwhile. Its process and this connection stay,
 * so nothing is to be done for that here. If it ends, the connection does.
 *
 * The name lives in a network namespace. In another one it leads nowhere, or to a stranger,
 * although the pid file is there for both. Who does not wait for the end needs no
 * connection: a signal asks for the same. */
#include "control/asking.h"

#include "control/running.h"
#include "os/clock.h"
#include "os/fd.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* For a server to agree, which takes it a turn of its loop. */
#define AGREE_PATIENCE (10 * PF_SECOND)

/* What was asked of whom. */
struct asking {
    const struct pf_process *server;
    enum pf_request_kind kind;
    bool wait;
    pf_time deadline;
    struct pf_text *what;
};

static const char *
noun(const struct asking *a)
{
    return a->kind == PF_REQUEST_RELOAD ? "reload" : "restart of the workers";
}

static int
pid_of(const struct asking *a)
{
    return (int)a->server->pid;
}

/* ---- the way in ---------------------------------------------------------------------- */

/* Whoever has the name may be invisible from here, or gone, while a child of his listens.
 */
static int
say_squatted(const struct asking *a, pid_t other)
{
    pf_text_add(a->what, "process %d cannot be asked: its control socket here is that of ",
                pid_of(a));
    if (other > 0)
        pf_text_add(a->what, "process %d", (int)other);
    else
        pf_text_add(a->what, "a process that cannot be seen");
    pf_text_add(a->what, "; is it in another container or network namespace?");
    return -ECONNREFUSED;
}

/* Somebody listens there. 0 if it is the server; the descriptor is the caller's. */
static int
check_peer(const struct asking *a, int fd)
{
    pid_t pid = 0;
    uid_t uid = 0;
    int r = pf_request_peer(fd, &pid, &uid);

    if (r < 0 || pid != a->server->pid)
        return say_squatted(a, r < 0 ? 0 : pid);
    if (geteuid() != 0 && geteuid() != uid) {
        pf_text_add(a->what, "process %d runs, but may not be asked; be its user or root",
                    pid_of(a));
        return -EPERM;
    }
    return 0;
}

static int
say_unreachable(const struct asking *a, int r)
{
    if (r == -ECONNREFUSED)
        pf_text_add(a->what,
                    "process %d has no control socket here: is it in another container or "
                    "network namespace, or a server without workers, or of an older "
                    "version?",
                    pid_of(a));
    else if (r == -ETIMEDOUT)
        pf_text_add(a->what, "process %d does not answer", pid_of(a));
    else
        pf_text_add(a->what, "process %d cannot be asked: %s", pid_of(a), strerror(-r));
    return r;
}

static pf_time
agree_by(pf_time deadline)
{
    return pf_time_earlier(deadline, pf_time_after(pf_clock_now(), AGREE_PATIENCE));
}

static int
reach(const struct asking *a)
{
    int fd = pf_request_connect(a->server->pid, agree_by(a->deadline));
    int r;

    if (fd < 0)
        return say_unreachable(a, fd);
    r = check_peer(a, fd);
    if (r < 0)
        pf_fd_close(&fd);
    return r < 0 ? r : fd;
}

/* ---- what comes back ----------------------------------------------------------------- */

static int
say_answer(const struct asking *a, const struct pf_answer *answer)
{
    int pid = pid_of(a);

    switch ((enum pf_answer_kind)answer->kind) {
    case PF_ANSWER_ACCEPTED:
        pf_text_add(a->what, "process %d was asked for a %s; its log says how it goes", pid,
                    noun(a));
        return 0;
    case PF_ANSWER_DONE:
        pf_text_add(a->what, "process %d: %s", pid, answer->text);
        return 0;
    case PF_ANSWER_FAILED:
        pf_text_add(a->what, "process %d: %s", pid, answer->text);
        return PREFORK_ASKED_FAILED;
    case PF_ANSWER_REFUSED:
        pf_text_add(a->what, "process %d refused a %s: %s", pid, noun(a), answer->text);
        return PREFORK_ASKED_REFUSED;
    case PF_ANSWER_STOPPING:
        pf_text_add(a->what, "process %d: no %s: %s", pid, noun(a), answer->text);
        return PREFORK_ASKED_REFUSED;
    }
    return -EBADMSG;
}

/* The connection has ended without an answer, or it was none. */
static int
say_silence(const struct asking *a, int r)
{
    int pid = pid_of(a);

    if (r == -EPIPE && pf_process_ends_by(a->server, pf_clock_now() + PF_SECOND)) {
        pf_text_add(a->what, "process %d has ended before the %s did", pid, noun(a));
        return PREFORK_PIDFILE_STALE;
    }
    if (r == -ETIMEDOUT)
        pf_text_add(a->what, "process %d: the %s was not over in time; it goes on", pid,
                    noun(a));
    else if (r == -EPROTONOSUPPORT)
        pf_text_add(a->what,
                    "process %d is of another version than this command; use that of its "
                    "own",
                    pid);
    else
        pf_text_add(a->what, "process %d cannot be asked: %s", pid,
                    r == -EPIPE ? "it has closed the connection" : strerror(-r));
    return r;
}

/* Its first answer, which comes at once, and its last. A request that could not be sent has
 * been refused already: then there is an answer. */
static int
converse(const struct asking *a, int fd)
{
    struct pf_answer answer;
    int r;

    (void)pf_request_send(fd, a->kind, a->wait);
    r = pf_answer_receive(fd, agree_by(a->deadline), &answer);
    if (r == -ETIMEDOUT)
        return say_unreachable(a, r);
    if (r == 0 && answer.kind == PF_ANSWER_ACCEPTED && a->wait)
        r = pf_answer_receive(fd, a->deadline, &answer);
    return r < 0 ? say_silence(a, r) : say_answer(a, &answer);
}

/* ---- without a connection ------------------------------------------------------------ */

/* A server that is just starting has neither a control socket nor signals blocked yet. */
static int
send_signal(const struct asking *a)
{
    int signum = a->kind == PF_REQUEST_RELOAD ? SIGHUP : SIGUSR2;
    bool minds = pf_process_minds_signal(a->server, signum);
    int r = minds ? pf_process_signal_alone(a->server, signum) : -EAGAIN;

    pf_text_init(a->what, a->what->bytes, a->what->capacity);
    if (r == -EAGAIN) {
        pf_text_add(a->what, "process %d is about to start or to end; try again",
                    pid_of(a));
        return r;
    }
    if (r == -ESRCH) {
        pf_text_add(a->what, "process %d has just ended", pid_of(a));
        return PREFORK_PIDFILE_STALE;
    }
    if (r < 0)
        pf_text_add(a->what,
                    "process %d runs, but may not be signalled: %s; be its user or root",
                    pid_of(a), strerror(-r));
    else
        pf_text_add(a->what,
                    "process %d has no control socket here and was sent %s; its log says "
                    "how it goes",
                    pid_of(a), signum == SIGHUP ? "SIGHUP" : "SIGUSR2");
    return r;
}

static int
ask(const struct asking *a)
{
    int fd = reach(a);
    int r;

    if (fd == -ECONNREFUSED && !a->wait)
        return send_signal(a);
    if (fd < 0)
        return fd;
    r = converse(a, fd);
    pf_fd_close(&fd);
    return r;
}

int
pf_asking(const char *path, enum pf_request_kind kind, bool wait, pf_time timeout,
          struct pf_text *what)
{
    struct pf_process server;
    int r = pf_running_find(path, &server, what);

    if (r != PREFORK_PIDFILE_RUNNING)
        return r;
    pf_text_init(what, what->bytes, what->capacity);
    r = ask(&(struct asking){.server = &server,
                             .kind = kind,
                             .wait = wait,
                             .deadline = pf_time_after(pf_clock_now(), timeout),
                             .what = what});
    pf_fd_close(&server.pidfd);
    return r;
}
