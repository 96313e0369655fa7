/* One connection that somebody else accepted: server_type INET.
 *
 * inetd(8), a socket unit with Accept=yes, or a shell starts this process with the
 * connection on descriptors 0 and 1. There is no master and no pool; this process is the
 * worker, with a page and a channel that nobody looks at. It serves the connection with the
 * same hooks as any worker and ends.
 *
 * If descriptor 0 is a socket its addresses are those of the connection, so access rules
 * work. If it is not, as in a shell's pipe, two children copy between the pipes and a
 * socket pair, and the connection is a nameless unix socket. */
#include "net/listener.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/title.h"
#include "worker/recipe.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    COPY_BYTES = 65536,
};

/* Copies from one descriptor to another; -1: there is no such child. */
struct pumps {
    pid_t in;
    pid_t out;
};

static struct pf_listeners the_door = {.count = 1};
static struct pf_board_slot the_slot;
static struct pf_board_hints the_hints;

static bool
write_all(int fd, const char *bytes, ssize_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, (size_t)size);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            bytes += n;
            size -= n;
        }
    }
    return true;
}

/* Until the end of the input, or until nobody wants it any more. */
static void
copy(int from, int to)
{
    static char buffer[COPY_BYTES];
    ssize_t n;

    do {
        n = read(from, buffer, sizeof buffer);
        if (n > 0 && !write_all(to, buffer, n))
            return;
    } while (n > 0 || (n < 0 && errno == EINTR));
}

/* A child that copies, and then says on a socket that this is all. */
static pid_t
start_pump(int from, int to, int unused)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    (void)close(unused); /* the other end, whose close the copy waits for */
    copy(from, to);
    (void)shutdown(to, SHUT_WR); /* fails for what is no socket */
    pf_process_exit(0);
}

static int
connect_pipes(struct prefork_worker *w, struct pumps *pumps)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        pf_worker_fail(w, PF_WORKER_EXIT_SETUP, errno);
    pumps->in = start_pump(STDIN_FILENO, ends[1], ends[0]);
    pumps->out = start_pump(ends[1], STDOUT_FILENO, ends[0]);
    (void)close(ends[1]);
    if (pumps->in < 0 || pumps->out < 0)
        pf_worker_fail(w, PF_WORKER_EXIT_SETUP, errno);
    return ends[0];
}

/* What was written to the client is copied to its end; what he still may send is not. */
static void
end_pumps(const struct pumps *pumps)
{
    if (pumps->out > 0)
        (void)waitpid(pumps->out, NULL, 0);
    if (pumps->in > 0 && kill(pumps->in, SIGKILL) == 0)
        (void)waitpid(pumps->in, NULL, 0);
}

/* The connection, above the standard descriptors. */
static int
take_connection(struct prefork_worker *w, struct pumps *pumps)
{
    struct pf_listener *door = &the_door.table[0];
    struct prefork_conn *c = &w->conn;
    int fd;

    c->peer.address = (struct sockaddr_storage){0};
    c->peer.address_bytes = sizeof c->peer.address;
    if (getpeername(STDIN_FILENO, (struct sockaddr *)&c->peer.address,
                    &c->peer.address_bytes) == 0)
        fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    else
        fd = connect_pipes(w, pumps);
    if (fd < 0)
        pf_worker_fail(w, PF_WORKER_EXIT_SETUP, errno);
    door->fd = fd;
    if (pf_listener_learn(door) < 0)
        pf_worker_fail(w, PF_WORKER_EXIT_SETUP, ENOTSOCK);
    door->proto = door->family == AF_UNIX ? PF_PROTO_UNIX : PF_PROTO_TCP;
    return fd;
}

void
pf_inet_serve(const struct pf_recipe *recipe)
{
    const struct pf_heritage heritage = {
        .recipe = recipe,
        .listeners = &the_door,
        .seat = {.slot = &the_slot, .hints = &the_hints, .wake_fd = -1},
        .departures = -1,
        .turn = {.kind = PF_TURN_NONE},
        .pass_fd = -1,
        .channel = -1,
    };
    struct pumps pumps = {-1, -1};
    struct prefork_worker *w = pf_worker_alone(&heritage, NULL, "worker");
    int r;
    int fd;

    pf_worker_end_by_signal();
    r = pf_worker_get_ready(w);
    if (r != 0)
        pf_worker_fail(w, PF_WORKER_EXIT_INIT, r);
    fd = take_connection(w, &pumps);
    pf_fd_null_stdio();
    pf_worker_connection(w, fd, &the_door.table[0]);
    end_pumps(&pumps);
    pf_worker_finish(w);
}
