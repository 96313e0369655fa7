/* A program for each connection, with TLS in between.
 *
 * The program gets one end of a socket pair as descriptors 0 and 1 and knows nothing of
 * TLS; the worker holds the session and carries bytes both ways until the program has
 * ended. As on a plain connection:
 *
 *  - the end of what one side says is carried over, and the other may go on talking: the
 *    client's farewell becomes an end of file, and a program that shuts its output down
 *    (shutdown(2)) makes the worker say farewell;
 *  - who does not read is not read for: each way has one buffer, and it has to be empty
 *    before more is taken;
 *  - the program's end is the connection's end, when all that it had written is sent. What
 *    its children write afterwards is lost: the worker has gone on.
 *
 * A client that breaks off without a farewell takes both ways with it: the program finds
 * the end of its input, and its next write fails. Nothing here waits but poll(2). */
#include "log/log.h"
#include "net/tls.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/program.h"
#include "worker/recipe.h"
#include "worker/worker.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FLOW_BYTES = 16384, /* as much as a record of TLS holds */
};

/* What goes one way. */
struct flow {
    size_t start; /* bytes passed on */
    size_t end;   /* bytes taken */
    bool ended;   /* no more will be taken */
    bool told;    /* and the other side knows */
    char bytes[FLOW_BYTES];
};

struct relay {
    struct prefork_conn *c;
    int program; /* our end of the pair */
    int pidfd;   /* of the program; -1: not to be had */
    bool gone;   /* the program ended */
    short wants; /* of the client's socket, since the last sleep */
    struct flow in;
    struct flow out;
};

static bool
is_empty(const struct flow *f)
{
    return f->start == f->end;
}

static void
fill(struct flow *f, ssize_t n)
{
    f->start = 0;
    f->end = (size_t)n;
}

/* No more goes this way. */
static void
stop(struct flow *f)
{
    f->start = f->end = 0;
    f->ended = true;
}

/* The client broke off. */
static void
cut(struct relay *r, int errnum)
{
    if (!r->in.told || !r->out.told)
        pf_log(PREFORK_LOG_INFO, "%s broke off: %s", pf_connection_peer_text(r->c),
               strerror(errnum));
    stop(&r->in);
    stop(&r->out);
    r->in.told = r->out.told = true;
    (void)shutdown(r->program, SHUT_RDWR);
}

/* ---- the four ends: each is true if something moved -------------------------------- */

static bool
read_client(struct relay *r)
{
    short wants;
    ssize_t n;

    if (r->in.ended || !is_empty(&r->in))
        return false;
    n = pf_tls_try_read(r->c, r->in.bytes, sizeof r->in.bytes, &wants);
    if (n == -EAGAIN) {
        r->wants |= wants;
        return false;
    }
    if (n < 0)
        cut(r, (int)-n);
    else if (n == 0)
        r->in.ended = true;
    else
        fill(&r->in, n);
    return true;
}

static bool
write_program(struct relay *r)
{
    struct flow *f = &r->in;
    ssize_t n;

    if (is_empty(f)) {
        if (f->told || !f->ended)
            return false;
        (void)shutdown(r->program, SHUT_WR);
        f->told = true;
        return true;
    }
    n = send(r->program, f->bytes + f->start, f->end - f->start,
             MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n < 0)
        stop(f); /* it reads no more; what it writes still counts */
    else
        f->start += (size_t)n;
    return true;
}

/* Once the program is gone, what is there is all there is. */
static bool
read_program(struct relay *r)
{
    ssize_t n;

    if (r->out.ended || !is_empty(&r->out))
        return false;
    n = recv(r->program, r->out.bytes, sizeof r->out.bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR) && !r->gone)
        return false;
    if (n > 0) {
        fill(&r->out, n);
        return true;
    }
    r->out.ended = true;
    r->gone = r->gone || r->pidfd < 0;
    return true;
}

static bool
write_client(struct relay *r)
{
    struct flow *f = &r->out;
    short wants = POLLOUT;
    ssize_t n;

    if (is_empty(f)) {
        if (f->told || !f->ended)
            return false;
        n = pf_tls_shut(r->c);
        f->told = n != -EAGAIN;
    } else {
        n = pf_tls_try_write(r->c, f->bytes + f->start, f->end - f->start, &wants);
        if (n > 0)
            f->start += (size_t)n;
    }
    if (n == -EAGAIN) {
        r->wants |= wants;
        return false;
    }
    if (n < 0)
        cut(r, (int)-n);
    return true;
}

/* ---- the loop ---------------------------------------------------------------------- */

static struct pollfd
watch(int fd, short events)
{
    return (struct pollfd){.fd = events != 0 ? fd : -1, .events = events};
}

static short
wants_of_program(const struct relay *r)
{
    short events = 0;

    if (!r->out.ended && is_empty(&r->out))
        events |= POLLIN;
    if (!is_empty(&r->in))
        events |= POLLOUT;
    return events;
}

static void
sleep_until_moved(struct relay *r)
{
    struct pollfd fds[] = {
        watch(r->c->fd, r->wants),
        watch(r->program, wants_of_program(r)),
        watch(r->pidfd, r->gone ? 0 : POLLIN),
    };

    r->wants = 0;
    if (poll(fds, 3, -1) > 0 && fds[2].revents != 0)
        r->gone = true;
}

static void
carry(struct relay *r)
{
    for (;;) {
        bool moved = read_client(r);
        moved |= write_program(r);
        moved |= read_program(r);
        moved |= write_client(r);
        if (r->gone && r->out.told)
            return;
        if (!moved)
            sleep_until_moved(r);
    }
}

int
pf_relay_run(struct prefork_worker *w, char *const environment[], int *ret_wait_status)
{
    const struct pf_recipe *recipe = w->heritage.recipe;
    struct relay r = {.c = &w->conn};
    int ends[2];
    int result;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    result = pf_program_start(recipe->program, recipe->program_argv, environment, ends[1],
                              &w->program);
    pf_fd_close(&ends[1]);
    if (result == 0) {
        r.program = ends[0];
        r.pidfd = pf_process_watch(w->program);
        carry(&r);
        pf_fd_close(&r.pidfd);
    }
    pf_fd_close(&ends[0]);
    return result < 0 ? result : pf_program_finish(&w->program, ret_wait_status);
}
