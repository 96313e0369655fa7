/* A client that opens one connection per request, or sends one datagram, and counts
 * exactly.
 *
 *   client load ADDRESS PORT CONNECTIONS CLIENTS [REQUEST]   all, from CLIENTS processes
 *   client run  ADDRESS PORT SECONDS CLIENTS [REQUEST]       for so long
 *   client udp  ADDRESS PORT DATAGRAMS CLIENTS               as load, WINDOW under way
 *   client hold ADDRESS PORT HOLDERS [REQUEST]               half a request from each
 *
 * REQUEST is sent instead of a line; the answer to one of HTTP has the status 200. ADDRESS
 * is one of loopback, or the path of a unix socket, which begins with a slash and has any
 * PORT.
 *
 * load, udp and run print "answered failed microseconds"; with udp every client has up to
 * WINDOW datagrams under way.
 *
 * hold opens HOLDERS connections that send half a request, then one that sends all of it.
 * It prints the microseconds from its first connect to the answer of the last client, who
 * gets it once each of the others has a worker, and keeps everything open until its input
 * ends. Then the holders send the rest, and it prints "answered failed" of them. */
#include "common.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WINDOW = 32,    /* as many of all clients fit into the buffer of the server's socket */
    PATIENCE = 120, /* seconds that hold waits for an answer */
};

static struct target server;
static struct question question;

/* ---- datagrams ---------------------------------------------------------------------- */

static int
open_udp(void)
{
    struct timeval patience = {.tv_sec = 1};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, &server.address.any, server.bytes) < 0 ||
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

/* ---- connections -------------------------------------------------------------------- */

static bool
connect_and_ask(void)
{
    int fd = open_connection(&server);

    return fd >= 0 && ask(&question, fd);
}

static void
work(struct counts *counts, long connections, long until)
{
    for (long i = 0; i < connections && (until == 0 || microseconds() < until); i++) {
        if (connect_and_ask())
            counts->answered++;
        else
            counts->failed++;
    }
}

static int
open_patiently(void)
{
    struct timeval patience = {.tv_sec = PATIENCE};
    int fd = open_connection(&server);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        err(1, "connect");
    return fd;
}

/* Who sends no more than this keeps a worker waiting. */
static size_t
half(void)
{
    return question.size / 2;
}

/* What a holder has not yet sent is its question from there on. */
static void
release(const int fds[], int holders)
{
    struct question rest = question;
    int answered = 0;

    rest.text += half();
    rest.size -= half();
    for (int i = 0; i < holders; i++)
        answered += ask(&rest, fds[i]);
    (void)printf("%d %d\n", answered, holders - answered);
}

static void
hold(int holders)
{
    int *fds = calloc((size_t)holders + 1, sizeof *fds);
    long start;
    char byte;

    if (!fds)
        err(1, "%d holders", holders);
    allow_descriptors((unsigned long)holders + 16);
    start = microseconds();
    for (int i = 0; i < holders; i++) {
        fds[i] = open_patiently();
        if (send(fds[i], question.text, half(), MSG_NOSIGNAL) != (ssize_t)half())
            err(1, "connection %d", i);
    }
    if (!ask(&question, open_patiently()))
        errx(1, "no answer behind %d holders", holders);
    (void)printf("%ld\n", microseconds() - start);
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    release(fds, holders);
    free(fds);
}

static void
run(const char *what, long number, int clients)
{
    if (strcmp(what, "hold") == 0)
        hold((int)number);
    else if (strcmp(what, "run") == 0)
        crowd(work, 1000000000L, number * 1000000L, clients);
    else
        crowd(strcmp(what, "udp") == 0 ? work_udp : work, number, 0, clients);
}

int
main(int argc, char **argv)
{
    int most = argc > 1 && strcmp(argv[1], "hold") == 0 ? 5 : 6; /* words but REQUEST */

    if (argc < most || argc > most + 1 || atol(argv[4]) <= 0 || atoi(argv[most - 1]) <= 0)
        errx(64, "usage: client load|run|udp ADDRESS PORT N CLIENTS [REQUEST] | "
                 "hold ADDRESS PORT N [REQUEST]");
    aim(&server, argv[2], argv[3]);
    question = question_of(argc > most ? argv[most] : NULL);
    run(argv[1], atol(argv[4]), atoi(argv[most - 1]));
    return 0;
}
