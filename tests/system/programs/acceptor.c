/* acceptor: a program that accepts by itself, for `handler wait`. Not built on prefork.
 *
 * Answers each connection on any of its sockets with what it was handed: pid, the three
 * conventions, and whether the sockets block. On SIGTERM it says so and ends with 0. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
leave(int signum)
{
    (void)signum;
    (void)!write(STDERR_FILENO, "acceptor leaves\n", 16);
    _exit(0);
}

static const char *
variable(const char *name)
{
    const char *value = getenv(name);

    return value ? value : "unset";
}

static int
is_listening(int fd)
{
    int on = 0;
    socklen_t size = sizeof on;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

static void
answer(int fd, int listener, int count)
{
    char mine[16];

    (void)snprintf(mine, sizeof mine, "%d", (int)getpid());
    (void)dprintf(fd, "pid=%s via=%d fd0=%d fds=%s pid_matches=%d ports=%s blocking=", mine,
                  listener, is_listening(0), variable("LISTEN_FDS"),
                  strcmp(variable("LISTEN_PID"), mine) == 0,
                  variable("SERVER_STARTER_PORT"));
    for (int i = 0; i < count; i++)
        (void)dprintf(fd, "%d", !(fcntl(3 + i, F_GETFL) & O_NONBLOCK));
    (void)dprintf(fd, "\n");
    (void)close(fd);
}

int
main(void)
{
    int count = atoi(variable("LISTEN_FDS"));
    struct pollfd fds[16];

    (void)signal(SIGTERM, leave);
    for (int i = 0; i < count; i++)
        fds[i] = (struct pollfd){.fd = 3 + i, .events = POLLIN};
    (void)!write(STDERR_FILENO, "acceptor waits\n", 15);
    while (poll(fds, (nfds_t)count, -1) > 0) {
        for (int i = 0; i < count; i++) {
            int fd = fds[i].revents ? accept4(fds[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;
            if (fd >= 0)
                answer(fd, fds[i].fd, count);
        }
    }
    return 1;
}
