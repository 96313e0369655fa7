/* A client that opens one connection per request, or sends one datagram, and counts
 * exactly.
 *
 *   client load ADDRESS PORT CONNECTIONS CLIENTS [REQUEST]   all, from CLIENTS processes
 *   client udp  ADDRESS PORT DATAGRAMS CLIENTS     the same with datagrams: every client
 *                                                  has up to WINDOW underway
 *   client run  ADDRESS PORT SECONDS CLIENTS       for so long
 *   client hold ADDRESS PORT HOLDERS               HOLDERS connections that send half a
 *                                                  request, then one that sends all of it
 *
 * load, udp and run print "answered failed microseconds"; hold prints the microseconds from
 * its first connect to the last client's answer, and keeps everything open until its input
 * ends. REQUEST is sent instead of a line. ADDRESS is one of loopback, or the path of a
 * unix socket, which begins with a slash and has any PORT. */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct counts {
    long answered;
    long failed;
};

enum {
    WINDOW = 32, /* as many of all clients fit into the buffer of the server's socket */
};

static struct sockaddr_storage server;
static socklen_t server_bytes;
static const char *request = "hello\n";

static long
microseconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static int
open_connection(void)
{
    int fd = socket(server.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&server, server_bytes) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

/* One request: true if something came back before the end of the stream. */
static bool
ask(void)
{
    char buffer[512];
    size_t bytes = strlen(request);
    ssize_t total = 0;
    ssize_t n = -1;
    int fd = open_connection();

    if (fd < 0)
        return false;
    if (send(fd, request, bytes, MSG_NOSIGNAL) == (ssize_t)bytes) {
        while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
            total += n;
    }
    (void)close(fd);
    return n == 0 && total > 0;
}

static int
open_udp(void)
{
    struct timeval patience = {.tv_sec = 1};
    int fd = socket(server.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&server, server_bytes) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        err(1, "socket");
    return fd;
}

/* Messages of a few bytes each, all at the same place: what is in them matters to nobody.
 */
static void
prepare(struct mmsghdr messages[WINDOW], struct iovec *part)
{
    memset(messages, 0, sizeof *messages * WINDOW);
    for (int i = 0; i < WINDOW; i++) {
        messages[i].msg_hdr.msg_iov = part;
        messages[i].msg_hdr.msg_iovlen = 1;
    }
}

static long
smallest(long a, long b)
{
    return a < b ? a : b;
}

/* As many are sent as were answered. Those without an answer for a second are lost. */
static void
work_udp(struct counts *counts, long datagrams, long until)
{
    char buffer[512] = "hello\n";
    struct iovec part = {.iov_base = buffer, .iov_len = 6};
    struct mmsghdr messages[WINDOW];
    int fd = open_udp();
    long left = datagrams;
    long underway = 0;

    (void)until;
    prepare(messages, &part);
    while (left > 0 || underway > 0) {
        int n = left == 0 ? 0
                          : sendmmsg(fd, messages,
                                     (unsigned)smallest(left, WINDOW - underway), 0);
        left -= n > 0 ? n : 0;
        underway += n > 0 ? n : 0;
        n = recvmmsg(fd, messages, WINDOW, MSG_WAITFORONE, NULL);
        counts->answered += n > 0 ? n : 0;
        underway = n > 0 ? underway - n : 0;
    }
    counts->failed = datagrams - counts->answered;
}

static void
work(struct counts *counts, long connections, long until)
{
    for (long i = 0; i < connections && (until == 0 || microseconds() < until); i++) {
        if (ask())
            counts->answered++;
        else
            counts->failed++;
    }
}

typedef void worker(struct counts *counts, long requests, long until);

static void
load(worker *work_on, long connections, long until, int clients)
{
    struct counts *counts = mmap(NULL, sizeof *counts * (size_t)clients,
                                 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct counts sum = {0, 0};
    long start = microseconds();

    for (int i = 0; i < clients; i++) {
        if (fork() == 0) {
            work_on(&counts[i], connections / clients, until == 0 ? 0 : start + until);
            _exit(0);
        }
    }
    while (wait(NULL) > 0)
        continue;
    for (int i = 0; i < clients; i++) {
        sum.answered += counts[i].answered;
        sum.failed += counts[i].failed;
    }
    (void)printf("%ld %ld %ld\n", sum.answered, sum.failed, microseconds() - start);
}

static void
hold(int holders)
{
    long start = microseconds();
    char byte;

    for (int i = 0; i < holders; i++) {
        int fd = open_connection();
        if (fd < 0 || send(fd, "hel", 3, MSG_NOSIGNAL) != 3)
            err(1, "connection %d", i);
    }
    if (!ask())
        err(1, "no answer");
    (void)printf("%ld\n", microseconds() - start);
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
}

static void
set_unix(const char *path)
{
    struct sockaddr_un *a = (struct sockaddr_un *)&server;

    if (strlen(path) >= sizeof a->sun_path)
        errx(64, "%s is too long for a unix socket", path);
    a->sun_family = AF_UNIX;
    memcpy(a->sun_path, path, strlen(path) + 1);
    server_bytes = sizeof *a;
}

static void
set_tcp(const char *address, int port)
{
    struct sockaddr_in *a = (struct sockaddr_in *)&server;

    a->sin_family = AF_INET;
    a->sin_port = htons((unsigned short)port);
    if (inet_pton(AF_INET, address, &a->sin_addr) != 1 ||
        (ntohl(a->sin_addr.s_addr) >> 24) != 127)
        errx(64, "%s is not a loopback address", address);
    server_bytes = sizeof *a;
}

int
main(int argc, char **argv)
{
    if (argc < 5)
        errx(64, "usage: client load|udp|run|hold ADDRESS PORT N [CLIENTS [REQUEST]]");
    if (argv[2][0] == '/')
        set_unix(argv[2]);
    else
        set_tcp(argv[2], atoi(argv[3]));
    if (argc == 7) {
        request = argv[6];
        argc--;
    }
    if (strcmp(argv[1], "hold") == 0)
        hold(atoi(argv[4]));
    else if (strcmp(argv[1], "run") == 0 && argc == 6)
        load(work, 1000000000L, atol(argv[4]) * 1000000L, atoi(argv[5]));
    else if (strcmp(argv[1], "udp") == 0 && argc == 6)
        load(work_udp, atol(argv[4]), 0, atoi(argv[5]));
    else if (argc == 6)
        load(work, atol(argv[4]), 0, atoi(argv[5]));
    return 0;
}
