/* What clients of the bench share: the clock, where they connect, what they ask, and crowds
 * of them.
 *
 * A crowd is processes, because a client that waits for one answer must not keep another
 * from asking. Each counts in a place of its own in shared memory. What a client did not
 * live to count is missing from both sums, so a sum that is too small tells of it.
 *
 * Nothing here speaks to anything but loopback and unix sockets. */
#include "common.h"

#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

long
microseconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

/* ---- connections -------------------------------------------------------------------- */

static void
aim_unix(struct target *ret, const char *path)
{
    if (strlen(path) >= sizeof ret->address.un.sun_path)
        errx(64, "%s is too long for a unix socket", path);
    ret->address.un.sun_family = AF_UNIX;
    strcpy(ret->address.un.sun_path, path);
    ret->bytes = sizeof ret->address.un;
}

static void
aim_tcp(struct target *ret, const char *address, const char *port)
{
    ret->address.in.sin_family = AF_INET;
    ret->address.in.sin_port = htons((unsigned short)atoi(port));
    if (inet_pton(AF_INET, address, &ret->address.in.sin_addr) != 1 ||
        ntohl(ret->address.in.sin_addr.s_addr) >> 24 != 127)
        errx(64, "%s is not a loopback address", address);
    ret->bytes = sizeof ret->address.in;
}

void
aim(struct target *ret, const char *address, const char *port)
{
    memset(ret, 0, sizeof *ret);
    if (strchr(address, '/'))
        aim_unix(ret, address);
    else
        aim_tcp(ret, address, port);
}

struct question
question_of(const char *text)
{
    const char *words = text ? text : "hello\n";

    return (struct question){
        .text = words, .size = strlen(words), .is_http = strstr(words, " HTTP/1.") != NULL};
}

int
open_connection(const struct target *target)
{
    int fd = socket(target->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, &target->address.any, target->bytes) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

bool
is_answer(const struct question *question, const char *head, size_t bytes)
{
    if (!question->is_http)
        return bytes > 0;
    return bytes >= strlen("HTTP/1.1 200") && memcmp(head, "HTTP/1.", 7) == 0 &&
           memcmp(head + 8, " 200", 4) == 0;
}

/* All that comes before the end of the stream; the first bytes of it are kept. */
static bool
receive(const struct question *question, int fd)
{
    char buffer[4096];
    char head[ANSWER_HEAD];
    size_t bytes = 0;
    ssize_t n;

    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) {
        for (ssize_t i = 0; i < n && bytes < sizeof head; i++)
            head[bytes++] = buffer[i];
    }
    return n == 0 && is_answer(question, head, bytes);
}

bool
ask(const struct question *question, int fd)
{
    ssize_t size = (ssize_t)question->size;
    bool done = send(fd, question->text, question->size, MSG_NOSIGNAL) == size &&
                receive(question, fd);

    (void)close(fd);
    return done;
}

void
allow_descriptors(unsigned long count)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(1, "getrlimit");
    if (limit.rlim_cur >= count)
        return;
    if (limit.rlim_max < count)
        errx(
            1,
            "%lu descriptors are needed and %lu allowed: raise the hard limit (ulimit -Hn)",
            count, (unsigned long)limit.rlim_max);
    limit.rlim_cur = count;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(1, "setrlimit");
}

/* ---- crowds ------------------------------------------------------------------------- */

static void
start_clients(client_work *work, struct counts *counts, long requests, long until,
              int clients)
{
    for (int i = 0; i < clients; i++) {
        pid_t pid = fork();
        if (pid < 0)
            err(1, "fork");
        if (pid == 0) {
            work(&counts[i], requests / clients + (i < requests % clients), until);
            _exit(0);
        }
    }
}

void
crowd(client_work *work, long requests, long duration, int clients)
{
    struct counts *counts = mmap(NULL, sizeof *counts * (size_t)clients,
                                 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct counts sum = {0, 0};
    long start = microseconds();

    if (counts == MAP_FAILED)
        err(1, "mmap");
    start_clients(work, counts, requests, duration == 0 ? 0 : start + duration, clients);
    while (wait(NULL) > 0)
        continue;
    for (int i = 0; i < clients; i++) {
        sum.answered += counts[i].answered;
        sum.failed += counts[i].failed;
    }
    (void)printf("%ld %ld %ld\n", sum.answered, sum.failed, microseconds() - start);
}
