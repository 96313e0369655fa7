/* Clients that open one connection after the other while something happens to the server,
 * and count what became of each.
 *
 *   churn [OPTIONS] tcp|tls ADDRESS PORT
 *   churn [OPTIONS] unix PATH
 *
 *   -c CLIENTS   so many at the same time, each a process (20)
 *   -s TEXT      what a client sends (a line with hello)
 *   -b TEXT      how the answer begins (nothing is asked of it)
 *   -e TEXT      how it ends (with a newline)
 *   -w SECONDS   how long a client waits for anything (10)
 *
 * A connection is good if it was made, the text was sent, and an answer that begins and
 * ends as it should came before the end of the stream; with TLS that is the server's
 * farewell. Everything else has failed, and is counted under the step at which it did and
 * the errno of it. It runs until its standard input ends. Then, and for each line that it
 * reads there, it prints a line of JSON:
 *
 *   {"connections": 52, "answered": 51, "failed": 1,
 *    "failures": {"connect ECONNREFUSED": 1},
 *    "p50": 310, "p90": 400, "p99": 900, "p99.9": 1100, "max": 1200}
 *
 * Latencies are microseconds of good connections, from before connect(2) to the end of the
 * stream. Loopback only. */
#include "common.h"
#include "tally.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What all of them do. */
static struct {
    struct target server;
    SSL_CTX *tls; /* NULL: as it is */
    const char *says, *begins, *ends;
    struct timeval patience;
} plan = {.says = "hello\n", .begins = "", .ends = "\n", .patience = {10, 0}};

/* Shared by all processes. */
static struct {
    atomic_bool is_over;
    struct tally tallies[];
} * board;

/* ---- one connection ----------------------------------------------------------------- */

/* What was received, as much of it as decides: the beginning and the end. */
struct answer {
    char begin[64], end[64];
    size_t bytes;
};

static void
keep(struct answer *a, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++, a->bytes++) {
        if (a->bytes < sizeof a->begin)
            a->begin[a->bytes] = data[i];
        a->end[a->bytes % sizeof a->end] = data[i];
    }
}

static bool
is_whole(const struct answer *a)
{
    size_t end = strlen(plan.ends);

    if (a->bytes < strlen(plan.begins) || a->bytes < end ||
        memcmp(a->begin, plan.begins, strlen(plan.begins)) != 0)
        return false;
    for (size_t i = 0; i < end; i++) {
        if (a->end[(a->bytes - end + i) % sizeof a->end] != plan.ends[i])
            return false;
    }
    return true;
}

/* The step that failed, with its errno; or STEPS. */
static enum step
judge(const struct answer *a)
{
    errno = 0;
    if (a->bytes == 0)
        return NO_ANSWER;
    return is_whole(a) ? STEPS : SHORT_ANSWER;
}

static enum step
talk(int fd)
{
    struct answer a = {.bytes = 0};
    size_t size = strlen(plan.says);
    char buffer[4096];
    ssize_t n;

    if (send(fd, plan.says, size, MSG_NOSIGNAL) != (ssize_t)size)
        return SEND;
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
        keep(&a, buffer, (size_t)n);
    return n < 0 ? RECEIVE : judge(&a);
}

/* The errno of a call of OpenSSL's that failed; EPROTO if it has none. */
static enum step
fail_tls(const SSL *ssl, int result, enum step step)
{
    int error = SSL_get_error(ssl, result);

    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else if (error != SSL_ERROR_SYSCALL || errno == 0)
        errno = EPROTO;
    return step;
}

static enum step
talk_tls(SSL *ssl)
{
    struct answer a = {.bytes = 0};
    int size = (int)strlen(plan.says);
    char buffer[4096];
    int n;

    errno = 0;
    if ((n = SSL_connect(ssl)) != 1)
        return fail_tls(ssl, n, HANDSHAKE);
    if ((n = SSL_write(ssl, plan.says, size)) != size)
        return fail_tls(ssl, n, SEND);
    while ((n = SSL_read(ssl, buffer, sizeof buffer)) > 0)
        keep(&a, buffer, (size_t)n);
    if (SSL_get_error(ssl, n) != SSL_ERROR_ZERO_RETURN)
        return fail_tls(ssl, n, RECEIVE);
    return judge(&a);
}

static enum step
talk_secretly(int fd)
{
    SSL *ssl = SSL_new(plan.tls);
    enum step step;
    int error;

    if (!ssl || SSL_set_fd(ssl, fd) != 1)
        errx(1, "out of memory");
    step = talk_tls(ssl);
    error = errno;
    SSL_free(ssl);
    errno = error;
    return step;
}

/* Each client has an address of its own: with one for all, ports would become few while
 * those of earlier connections may not be used again. */
static int
open_socket(unsigned client)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    int on = 1;
    int fd = socket(plan.server.address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + client);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &plan.patience, sizeof plan.patience) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &plan.patience, sizeof plan.patience) < 0)
        err(1, "socket");
    if (plan.server.address.any.sa_family == AF_INET &&
        (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0 ||
         bind(fd, (struct sockaddr *)&from, sizeof from) < 0))
        err(1, "bind");
    return fd;
}

static enum step
converse(unsigned client)
{
    int fd = open_socket(client);
    enum step step = CONNECT;
    int error;

    if (connect(fd, &plan.server.address.any, plan.server.bytes) == 0)
        step = plan.tls ? talk_secretly(fd) : talk(fd);
    error = errno;
    (void)close(fd);
    errno = error;
    return step;
}

static void
run_client(unsigned client)
{
    while (!atomic_load(&board->is_over)) {
        long start = microseconds();
        enum step step = converse(client);
        int error = errno == EAGAIN ? ETIMEDOUT : errno; /* so SO_RCVTIMEO tells it */
        tally_add(&board->tallies[client], step, error,
                  (unsigned long)(microseconds() - start));
    }
}

/* ---- all of them -------------------------------------------------------------------- */

static void
report(unsigned clients)
{
    static struct tally sum;

    memset(&sum, 0, sizeof sum);
    for (unsigned i = 0; i < clients; i++)
        tally_merge(&sum, &board->tallies[i]);
    (void)printf("{");
    tally_print(&sum);
    (void)printf("}\n");
    (void)fflush(stdout);
}

static void
churn(unsigned clients)
{
    char line[16];

    board = mmap(NULL, sizeof *board + clients * sizeof board->tallies[0],
                 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        err(1, "mmap");
    for (unsigned i = 0; i < clients; i++) {
        if (fork() == 0) {
            run_client(i);
            _exit(0);
        }
    }
    while (fgets(line, sizeof line, stdin))
        report(clients);
    atomic_store(&board->is_over, true);
    while (wait(NULL) > 0)
        continue;
    report(clients);
}

/* ---- what is to be done ------------------------------------------------------------- */

/* The certificate is not checked: that would be the client's time. */
static void
prepare_tls(void)
{
    plan.tls = SSL_CTX_new(TLS_client_method());
    if (!plan.tls)
        errx(1, "no context");
}

static void
aim_at(char **words)
{
    if (words[0] && strcmp(words[0], "unix") == 0 && words[1])
        aim(&plan.server, words[1], "");
    else if (words[0] && words[1] && words[2])
        aim(&plan.server, words[1], words[2]);
    else
        errx(64, "usage: churn [-c CLIENTS] [-s TEXT] [-b TEXT] [-e TEXT] [-w SECONDS] "
                 "tcp|tls ADDRESS PORT | unix PATH");
    if (strcmp(words[0], "tls") == 0)
        prepare_tls();
}

int
main(int argc, char **argv)
{
    unsigned clients = 20;
    int option;

    while ((option = getopt(argc, argv, "c:s:b:e:w:")) != -1) {
        switch (option) {
        case 'c': clients = (unsigned)atoi(optarg); break;
        case 's': plan.says = optarg; break;
        case 'b': plan.begins = optarg; break;
        case 'e': plan.ends = optarg; break;
        case 'w': plan.patience.tv_sec = atoi(optarg); break;
        default: return 64;
        }
    }
    if (strlen(plan.begins) > 64 || strlen(plan.ends) > 64)
        errx(64, "-b and -e: at most 64 bytes");
    (void)signal(SIGPIPE, SIG_IGN);
    aim_at(argv + optind);
    churn(clients);
    return 0;
}
