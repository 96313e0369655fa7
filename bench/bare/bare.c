/* The limit: what the kernel costs when nobody is in the way.
 *
 *   bare loop PORT WORKERS   WORKERS forked children that accept, read, write, close
 *   bare epoll PORT WORKERS  the same, each waiting for its connection by epoll_wait(2)
 *   bare unix PATH WORKERS   the same on a unix socket
 *   bare wait                one process that does the same with the socket on descriptor 0
 *   bare waiters PORT N      N processes of that program
 *   bare udp PORT WORKERS    WORKERS forked children that receive a datagram and answer it
 *   bare forks N             fork N children that say they are there; prints microseconds
 *   bare sleep N             N forked children that do nothing, until standard input ends
 *
 * This is the yardstick of every ratio, so it does nothing that could be left out. */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char answer[] = "hello\n";

static int
listen_on(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0)
        err(1, "port %d", port);
    return fd;
}

static int
listen_on_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof a.sun_path)
        errx(64, "%s is too long for a unix socket", path);
    memcpy(a.sun_path, path, strlen(path) + 1);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0)
        err(1, "%s", path);
    return fd;
}

static int
bind_udp(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
        err(1, "port %d", port);
    return fd;
}

static void
serve_udp(int fd)
{
    char buffer[4096];

    for (;;) {
        struct sockaddr_storage peer;
        socklen_t bytes = sizeof peer;
        if (recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&peer, &bytes) < 0)
            continue;
        if (sendto(fd, answer, sizeof answer - 1, 0, (struct sockaddr *)&peer, bytes) < 0)
            warn("sendto");
    }
}

static void
serve_one(int listener)
{
    char buffer[1024];
    int fd = accept(listener, NULL, NULL);

    if (fd < 0)
        return;
    if (read(fd, buffer, sizeof buffer) > 0 &&
        write(fd, answer, sizeof answer - 1) != (ssize_t)sizeof answer - 1)
        warn("write");
    (void)close(fd);
}

static void
serve(int listener)
{
    for (;;)
        serve_one(listener);
}

/* Who wants to wait for more than connections needs this. */
static void
serve_by_epoll(int listener)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (fcntl(listener, F_SETFL, O_NONBLOCK) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
        err(1, "epoll");
    for (;;) {
        if (epoll_wait(epoll, &event, 1, -1) > 0)
            serve_one(listener);
    }
}

static void
pool(int fd, int workers, void (*work)(int fd))
{
    for (int i = 0; i < workers; i++) {
        if (fork() == 0)
            work(fd);
    }
    (void)puts("ready");
    (void)fflush(stdout);
    (void)pause();
}

/* Becomes another process of this program, with the socket where it expects it. */
static void
wait_on(int listener)
{
    if (dup2(listener, STDIN_FILENO) == STDIN_FILENO)
        (void)execl("/proc/self/exe", "bare", "wait", (char *)NULL);
    err(1, "bare wait");
}

static long
microseconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

/* Each child says one byte; the last byte read is the last child there. */
static void
forks(int n)
{
    long start = microseconds();
    int ends[2];
    char byte = 'x';

    if (pipe(ends) < 0)
        err(1, "pipe");
    for (int i = 0; i < n; i++) {
        if (fork() == 0) {
            if (write(ends[1], &byte, 1) == 1)
                (void)pause();
            _exit(1);
        }
    }
    for (int i = 0; i < n; i++) {
        if (read(ends[0], &byte, 1) != 1)
            err(1, "read");
    }
    (void)printf("%ld\n", microseconds() - start);
}

static void
sleepers(int n)
{
    char byte;

    for (int i = 0; i < n; i++) {
        if (fork() == 0) {
            (void)pause();
            _exit(0);
        }
    }
    (void)puts("ready");
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
}

int
main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && strcmp(argv[1], "wait") == 0)
        serve(STDIN_FILENO); /* in the group of whoever started it */
    (void)setpgid(0, 0);
    if (argc == 4 && strcmp(argv[1], "loop") == 0)
        pool(listen_on(atoi(argv[2])), atoi(argv[3]), serve);
    else if (argc == 4 && strcmp(argv[1], "epoll") == 0)
        pool(listen_on(atoi(argv[2])), atoi(argv[3]), serve_by_epoll);
    else if (argc == 4 && strcmp(argv[1], "unix") == 0)
        pool(listen_on_unix(argv[2]), atoi(argv[3]), serve);
    else if (argc == 4 && strcmp(argv[1], "waiters") == 0)
        pool(listen_on(atoi(argv[2])), atoi(argv[3]), wait_on);
    else if (argc == 4 && strcmp(argv[1], "udp") == 0)
        pool(bind_udp(atoi(argv[2])), atoi(argv[3]), serve_udp);
    else if (argc == 3 && strcmp(argv[1], "forks") == 0)
        forks(atoi(argv[2]));
    else if (argc == 3 && strcmp(argv[1], "sleep") == 0)
        sleepers(atoi(argv[2]));
    else
        errx(64, "usage: bare loop|epoll|udp PORT WORKERS | unix PATH WORKERS | wait | "
                 "forks N | "
                 "sleep N");
    (void)signal(SIGTERM, SIG_IGN);
    (void)kill(0, SIGTERM);
    return 0;
}
