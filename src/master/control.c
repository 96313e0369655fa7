/* Requests from outside come in here, and their ends go out.
 *
 * Whoever may send the server a signal may ask it for something: root, and the user that it
 * runs as. Everybody else can connect, because an abstract socket has no permissions, and
 * is closed before a byte of his was read. A client has five seconds to say what it wants,
 * once; then it waits for the end of what it asked for, or is done with. There is room for
 * a few at a time, and the others are told so: nobody can keep the master from its work by
 * coming often, coming slowly or going early.
 *
 * Nothing here waits for a client. An answer that does not fit into its socket is lost,
 * which takes a client that has sent requests and never read.
 *
 * What becomes of a request is the concern of upgrade.c: here is only who waits for which
 * number. Clients and their numbers can be handed to the next master in this process, which
 * answers them instead. */
#include "master/control.h"

#include "link/request.h"
#include "log/log.h"
#include "master/master.h"
#include "master/tags.h"
#include "os/fd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    GREETED_MAX = 16, /* in a turn */
    WHO_BYTES = 64,
};

#define SILENCE (5 * PF_SECOND)  /* a client that says nothing is closed */
#define PAUSE   (10 * PF_SECOND) /* after the system refused one */

void
pf_control_init(struct pf_control *c)
{
    c->listener = -1;
    c->paused_until = PF_NEVER;
    for (unsigned i = 0; i < PF_STATE_WAITERS_MAX; i++)
        c->clients[i] = (struct pf_control_client){.fd = -1, .speak_by = PF_NEVER};
}

static void
tell_closed(int r)
{
    pf_log(PREFORK_LOG_WARNING,
           "control socket: %s; prefork reload --wait and prefork restart-workers --wait "
           "will not reach this server",
           r == -EADDRINUSE ? "another process has its name" : strerror(-r));
}

static void
use_listener(struct pf_master *m, int fd)
{
    int r = fd < 0 ? fd : pf_wait_add(&m->wait, fd, pf_tag(PF_TAG_CONTROL, 0));

    if (r < 0) {
        tell_closed(r);
        pf_fd_close(&fd);
    }
    m->control.listener = fd < 0 ? -1 : fd;
}

void
pf_control_open(struct pf_master *m)
{
    use_listener(m, pf_request_listen(getpid()));
}

void
pf_control_close(struct pf_control *c)
{
    pf_fd_close(&c->listener);
    for (unsigned i = 0; i < PF_STATE_WAITERS_MAX; i++)
        pf_fd_close(&c->clients[i].fd);
}

/* ---- clients ------------------------------------------------------------------------- */

/* Out of the wait first: a worker that is just being born may have a copy of it. */
static void
dismiss(struct pf_master *m, struct pf_control_client *c, const struct pf_answer *answer)
{
    pf_wait_remove(&m->wait, c->fd);
    pf_request_dismiss(&c->fd, answer);
    *c = (struct pf_control_client){.fd = -1, .speak_by = PF_NEVER};
}

static void
dismiss_with(struct pf_master *m, struct pf_control_client *c, enum pf_answer_kind kind,
             const char *text)
{
    struct pf_answer answer;

    pf_answer_make(&answer, kind, c->number, text);
    dismiss(m, c, &answer);
}

static struct pf_control_client *
find_room(struct pf_control *control)
{
    for (unsigned i = 0; i < PF_STATE_WAITERS_MAX; i++) {
        if (control->clients[i].fd < 0)
            return &control->clients[i];
    }
    return NULL;
}

static void
refuse(int *fd)
{
    struct pf_answer answer;

    pf_answer_make(&answer, PF_ANSWER_REFUSED, 0,
                   "too many others are asking it at the same time; try again");
    pf_request_dismiss(fd, &answer);
}

/* number 0: has to say what it wants. */
static void
take_in(struct pf_master *m, int fd, uint64_t number)
{
    struct pf_control_client *c = find_room(&m->control);

    if (!c) {
        refuse(&fd);
        return;
    }
    c->fd = fd;
    c->number = number;
    c->speak_by = number > 0 ? PF_NEVER : pf_time_after(m->now, SILENCE);
    if (pf_wait_add(&m->wait, fd,
                    pf_tag(PF_TAG_REQUEST, (unsigned)(c - m->control.clients))) < 0)
        dismiss(m, c, NULL);
}

/* Who has gone already, or cannot be told from others, may not ask. */
static bool
may_ask(int fd)
{
    pid_t pid = 0;
    uid_t uid = 0;
    int r = pf_request_peer(fd, &pid, &uid);

    if (r == 0 && (uid == 0 || uid == geteuid()))
        return true;
    if (r == 0)
        pf_log(PREFORK_LOG_DEBUG,
               "control socket: process %d of user %u may not ask for anything", (int)pid,
               (unsigned)uid);
    return false;
}

static void
meet(struct pf_master *m, int fd)
{
    if (may_ask(fd))
        take_in(m, fd, 0);
    else
        pf_request_dismiss(&fd, NULL);
}

/* Without descriptors the socket would stay ready, and the master awake. */
static void
pause_greeting(struct pf_master *m, int r)
{
    pf_log(PREFORK_LOG_WARNING, "control socket: %s; trying again soon", strerror(-r));
    pf_wait_remove(&m->wait, m->control.listener);
    m->control.paused_until = m->now + PAUSE;
}

void
pf_control_greet(struct pf_master *m)
{
    int fd = 0;

    for (unsigned n = 0; n < GREETED_MAX && fd >= 0; n++) {
        fd = pf_request_accept(m->control.listener);
        if (fd >= 0)
            meet(m, fd);
    }
    if (fd < 0 && fd != -EAGAIN)
        pause_greeting(m, fd);
}

/* ---- what they ask for --------------------------------------------------------------- */

static int
ask(struct pf_master *m, int fd, enum pf_request_kind kind, uint64_t *ret_number)
{
    char who[WHO_BYTES];
    pid_t pid = 0;
    uid_t uid = 0;

    if (pf_request_peer(fd, &pid, &uid) < 0)
        pid = 0; /* it has gone since */
    (void)snprintf(who, sizeof who, "prefork %s (process %d)",
                   kind == PF_REQUEST_RELOAD ? "reload" : "restart-workers", (int)pid);
    return kind == PF_REQUEST_RELOAD ? pf_master_ask_reload(m, who, ret_number)
                                     : pf_master_ask_restart(m, who, ret_number);
}

static void
accept_request(struct pf_master *m, struct pf_control_client *c, uint64_t number, bool wait)
{
    struct pf_answer answer;

    c->number = number;
    c->speak_by = PF_NEVER;
    pf_answer_make(&answer, PF_ANSWER_ACCEPTED, number, "");
    if (!wait)
        dismiss(m, c, &answer);
    else if (pf_answer_send(c->fd, &answer) < 0)
        dismiss(m, c, NULL);
}

static void
take(struct pf_master *m, struct pf_control_client *c, const struct pf_request *request)
{
    uint64_t number = 0;
    int r = ask(m, c->fd, (enum pf_request_kind)request->kind, &number);

    if (r == -ESHUTDOWN)
        dismiss_with(m, c, PF_ANSWER_STOPPING, "it is stopping");
    else if (r < 0)
        dismiss_with(m, c, PF_ANSWER_REFUSED, strerror(-r));
    else
        accept_request(m, c, number, request->wait == 1);
}

/* Nobody says two things: who waits and speaks again is not one of ours. */
void
pf_control_hear(struct pf_master *m, unsigned index)
{
    struct pf_control_client *c = &m->control.clients[index];
    struct pf_request request;
    int r = c->fd < 0 ? -EAGAIN : pf_request_receive(c->fd, &request);

    if (r == -EAGAIN)
        return;
    if (r == 0 && c->number == 0)
        take(m, c, &request);
    else if (r == -EPROTONOSUPPORT)
        dismiss_with(m, c, PF_ANSWER_REFUSED,
                     "it is of another version than this command; use that of its own");
    else
        dismiss(m, c, NULL);
}

void
pf_control_tell(struct pf_master *m, uint64_t number, bool ok, const char *text)
{
    for (unsigned i = 0; i < PF_STATE_WAITERS_MAX; i++) {
        struct pf_control_client *c = &m->control.clients[i];
        if (c->fd >= 0 && c->number > 0 && c->number <= number)
            dismiss_with(m, c, ok ? PF_ANSWER_DONE : PF_ANSWER_FAILED, text);
    }
}

/* ---- time ---------------------------------------------------------------------------- */

static void
tend_client(struct pf_master *m, struct pf_control_client *c)
{
    if (c->fd < 0)
        return;
    if (c->number > 0 && m->pool.stop != PF_STOP_NONE)
        dismiss_with(m, c, PF_ANSWER_STOPPING, "it is stopping");
    else if (c->speak_by <= m->now)
        dismiss(m, c, NULL);
    else
        m->deadline = pf_time_earlier(m->deadline, c->speak_by);
}

static void
end_pause(struct pf_master *m)
{
    struct pf_control *control = &m->control;

    if (m->now < control->paused_until)
        return;
    if (pf_wait_add(&m->wait, control->listener, pf_tag(PF_TAG_CONTROL, 0)) < 0)
        control->paused_until = m->now + PAUSE;
    else
        control->paused_until = PF_NEVER;
}

void
pf_control_tend(struct pf_master *m)
{
    for (unsigned i = 0; i < PF_STATE_WAITERS_MAX; i++)
        tend_client(m, &m->control.clients[i]);
    end_pause(m);
    m->deadline = pf_time_earlier(m->deadline, m->control.paused_until);
}

/* ---- the next master in this process ------------------------------------------------- */

int
pf_control_listener_fd(const struct pf_master *m)
{
    return m->control.listener;
}

unsigned
pf_control_waiters(const struct pf_master *m, int fds[PF_STATE_WAITERS_MAX],
                   uint64_t numbers[PF_STATE_WAITERS_MAX])
{
    unsigned count = 0;

    for (unsigned i = 0; i < PF_STATE_WAITERS_MAX; i++) {
        const struct pf_control_client *c = &m->control.clients[i];
        if (c->fd < 0)
            continue;
        fds[count] = c->fd;
        numbers[count] = c->number;
        count++;
    }
    return count;
}

void
pf_control_adopt(struct pf_master *m, int listener, const int fds[],
                 const uint64_t numbers[], unsigned count)
{
    if (pf_request_is_listener(listener, getpid())) {
        use_listener(m, listener);
    } else {
        pf_fd_close(&listener);
        pf_control_open(m);
    }
    for (unsigned i = 0; i < count; i++)
        take_in(m, fds[i], numbers[i]);
}
