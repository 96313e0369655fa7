/* A client that shakes hands once per request and counts exactly.
 *
 *   client-tls full|resumed ADDRESS PORT CONNECTIONS CLIENTS
 *
 * All connections are made from CLIENTS processes; with resumed each connection but a
 * process's first takes up the session of the one before, and one that does not has failed.
 * Prints "answered failed microseconds". The certificate is not checked: that would be the
 * client's time. Loopback only. */
#include "common.h"

#include <err.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct target server;
static SSL_SESSION *session; /* to take up; NULL: none yet, or none wanted */
static bool resumes;

static int
open_at_once(void)
{
    int on = 1;
    int fd = open_connection(&server);

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
                     sizeof on); /* -1: told by its user */
    return fd;
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
shake_hands(SSL_CTX *ctx)
{
    int fd = open_at_once();
    SSL *ssl = SSL_new(ctx);
    bool done = fd >= 0 && ssl && talk(ssl, fd);

    SSL_free(ssl);
    if (fd >= 0)
        (void)close(fd);
    return done;
}

static void
work(struct counts *counts, long connections, long until)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    (void)until;
    if (!ctx)
        errx(1, "no context");
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
                                                  SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    SSL_CTX_set_read_ahead(ctx, 1);
    for (long i = 0; i < connections; i++) {
        if (shake_hands(ctx))
            counts->answered++;
        else
            counts->failed++;
    }
}

int
main(int argc, char **argv)
{
    if (argc != 6)
        errx(64, "usage: client-tls full|resumed ADDRESS PORT CONNECTIONS CLIENTS");
    (void)signal(SIGPIPE, SIG_IGN);
    aim(&server, argv[2], argv[3]);
    resumes = strcmp(argv[1], "resumed") == 0;
    crowd(work, atol(argv[4]), 0, atoi(argv[5]));
    return 0;
}
