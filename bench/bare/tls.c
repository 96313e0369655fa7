/* The limit of TLS: OpenSSL and the kernel, when nobody is in the way.
 *
 *   bare-tls PORT WORKERS CERT KEY
 *
 * WORKERS forked children accept, shake hands, read, write, say farewell and close.
 *
 * Everything that the library sets as well is set here: the same certificate, versions and
 * ciphers, tickets instead of a cache, one system call for a record, no waiting for
 * acknowledgements. */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int
listen_on(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0)
        err(1, "port %d", port);
    return fd;
}

static SSL_CTX *
open_context(const char *cert, const char *key)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        errx(1, "%s, %s: cannot be used", cert, key);
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(ctx,
                              SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_read_ahead(ctx, 1);
    return ctx;
}

static void
serve(int listener, SSL_CTX *ctx)
{
    char buffer[1024];

    for (;;) {
        int fd = accept(listener, NULL, NULL);
        SSL *ssl;
        if (fd < 0)
            continue;
        ssl = SSL_new(ctx);
        if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1 &&
            SSL_read(ssl, buffer, sizeof buffer) > 0 && SSL_write(ssl, "hello\n", 6) == 6)
            (void)SSL_shutdown(ssl);
        SSL_free(ssl);
        (void)close(fd);
    }
}

int
main(int argc, char **argv)
{
    SSL_CTX *ctx;
    int listener;

    if (argc != 5)
        errx(64, "usage: bare-tls PORT WORKERS CERT KEY");
    (void)setpgid(0, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    listener = listen_on(atoi(argv[1]));
    ctx = open_context(argv[3], argv[4]);
    for (int i = 0; i < atoi(argv[2]); i++) {
        if (fork() == 0)
            serve(listener, ctx);
    }
    (void)puts("ready");
    (void)fflush(stdout);
    (void)pause();
    return 0;
}
