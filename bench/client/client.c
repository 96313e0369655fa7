/* A client that opens one connection per request and counts exactly.
 *
 *   client load ADDRESS PORT CONNECTIONS CLIENTS   all of them, from CLIENTS processes
 *   client run  ADDRESS PORT SECONDS CLIENTS       for so long
 *   client hold ADDRESS PORT HOLDERS               HOLDERS connections that send half a
 *                                                  request, then one that sends all of it
 *
 * load and run print "answered failed microseconds"; hold prints the microseconds from its
 * first connect to the last client's answer, and keeps everything open until its input
 * ends. Loopback only. */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct counts {
    long answered;
    long failed;
};

static struct sockaddr_in server;

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
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&server, sizeof server) == 0)
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
    ssize_t total = 0;
    ssize_t n = -1;
    int fd = open_connection();

    if (fd < 0)
        return false;
    if (send(fd, "hello\n", 6, MSG_NOSIGNAL) == 6) {
        while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
            total += n;
    }
    (void)close(fd);
    return n == 0 && total > 0;
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

static void
load(long connections, long until, int clients)
{
    struct counts *counts = mmap(NULL, sizeof *counts * (size_t)clients,
                                 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct counts sum = {0, 0};
    long start = microseconds();

    for (int i = 0; i < clients; i++) {
        if (fork() == 0) {
            work(&counts[i], connections / clients, until == 0 ? 0 : start + until);
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

int
main(int argc, char **argv)
{
    if (argc < 5)
        errx(64, "usage: client load|run|hold ADDRESS PORT N [CLIENTS]");
    server.sin_family = AF_INET;
    server.sin_port = htons((unsigned short)atoi(argv[3]));
    if (inet_pton(AF_INET, argv[2], &server.sin_addr) != 1 ||
        (ntohl(server.sin_addr.s_addr) >> 24) != 127)
        errx(64, "%s is not a loopback address", argv[2]);
    if (strcmp(argv[1], "hold") == 0)
        hold(atoi(argv[4]));
    else if (strcmp(argv[1], "run") == 0 && argc == 6)
        load(1000000000L, atol(argv[4]) * 1000000L, atoi(argv[5]));
    else if (argc == 6)
        load(atol(argv[4]), 0, atoi(argv[5]));
    return 0;
}
