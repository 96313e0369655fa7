/* A client that shakes hands once per request and counts exactly.
 *
 *   client-tls full|resumed ADDRESS PORT CONNECTIONS CLIENTS
 *
 * All connections are made from CLIENTS processes; with resumed each connection but a
 * process's first takes up the session of the one before, and one that does not has failed.
 * Prints "answered failed microseconds". The certificate is not checked: that would be the
 * client's time. Loopback only. */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
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
static SSL_SESSION *session; /* to take up; NULL: none yet, or none wanted */
static bool resumes;

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
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&server, sizeof server) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

/* With TLS 1.3 a ticket is meant to be used once and the server sends another. It is kept
 * by way of its bytes: the mark "used up" of the session before sticks to copies. */
static int
keep_session(SSL *ssl, SSL_SESSION *fresh)
{
    (void)ssl;
    if (resumes) {
        unsigned char *bytes = NULL;
        int size = i2d_SSL_SESSION(fresh, &bytes);
        const unsigned char *at = bytes;
        SSL_SESSION_free(session);
        session = d2i_SSL_SESSION(NULL, &at, size);
        OPENSSL_free(bytes);
    }
    return 0;
}

static bool
talk(SSL *ssl, int fd)
{
    char buffer[512];
    bool expected = session != NULL;
    int total = 0;
    int n;

    if (expected)
        (void)SSL_set_session(ssl, session);
    if (SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1 ||
        SSL_write(ssl, "hello\n", 6) != 6)
        return false;
    while ((n = SSL_read(ssl, buffer, sizeof buffer)) > 0)
        total += n;
    return total == 6 && SSL_get_error(ssl, n) == SSL_ERROR_ZERO_RETURN &&
           SSL_session_reused(ssl) == expected;
}

static bool
ask(SSL_CTX *ctx)
{
    int fd = open_connection();
    SSL *ssl = SSL_new(ctx);
    bool done = fd >= 0 && ssl && talk(ssl, fd);

    SSL_free(ssl);
    if (fd >= 0)
        (void)close(fd);
    return done;
}

static void
work(struct counts *counts, long connections)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (!ctx)
        errx(1, "no context");
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
                                                  SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    SSL_CTX_set_read_ahead(ctx, 1);
    for (long i = 0; i < connections; i++) {
        if (ask(ctx))
            counts->answered++;
        else
            counts->failed++;
    }
}

static void
load(long connections, int clients)
{
    struct counts *counts = mmap(NULL, sizeof *counts * (size_t)clients,
                                 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct counts sum = {0, 0};
    long start = microseconds();

    for (int i = 0; i < clients; i++) {
        if (fork() == 0) {
            work(&counts[i], connections / clients);
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

int
main(int argc, char **argv)
{
    if (argc != 6)
        errx(64, "usage: client-tls full|resumed ADDRESS PORT CONNECTIONS CLIENTS");
    (void)signal(SIGPIPE, SIG_IGN);
    server.sin_family = AF_INET;
    server.sin_port = htons((unsigned short)atoi(argv[3]));
    if (inet_pton(AF_INET, argv[2], &server.sin_addr) != 1 ||
        (ntohl(server.sin_addr.s_addr) >> 24) != 127)
        errx(64, "%s is not a loopback address", argv[2]);
    resumes = strcmp(argv[1], "resumed") == 0;
    load(atol(argv[4]), atoi(argv[5]));
    return 0;
}
