/* tls: what a handler sees of a connection with TLS, one question per line.
 *
 *   facts         what the calls about TLS say, and the worker's pid
 *   swallow       reads to the end: how many bytes, their sum, and what the last read gave
 *   pour N        N bytes of a pattern
 *   stdio         says hello to stdout and tells what comes from stdin
 *
 * Hooks are logged. SSL_passwd_cb knows the password "by hook"; SSL_verify_callback is
 * there if TLS_JUDGE is set: it accepts what has this word in its subject. */
#include <prefork/prefork.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
tell_facts(struct prefork_conn *c)
{
    (void)prefork_printf(c, "%s|%s|%s|%s|%s|%s|%d|%d|%d\n", prefork_proto(c),
                         prefork_tls_version(c), prefork_tls_cipher(c),
                         prefork_tls_server_name(c), prefork_tls_alpn(c),
                         prefork_tls_peer_subject(c), prefork_tls_peer_verified(c),
                         prefork_tls_resumed(c), (int)getpid());
}

static void
swallow(struct prefork_conn *c)
{
    static unsigned char buffer[100000];
    unsigned long long total = 0;
    uint32_t sum = 0;
    ssize_t n;

    while ((n = prefork_read(c, buffer, sizeof buffer)) > 0) {
        total += (unsigned long long)n;
        for (ssize_t i = 0; i < n; i++)
            sum = sum * 31 + buffer[i];
    }
    prefork_log(PREFORK_LOG_NOTICE, "swallowed %llu, then %zd", total, n);
    (void)prefork_printf(c, "%llu %u %zd\n", total, sum, n);
}

static void
pour(struct prefork_conn *c, size_t size)
{
    char *bytes = malloc(size + 1);

    if (!bytes)
        return;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i % 251);
    prefork_log(PREFORK_LOG_NOTICE, "poured %d", prefork_write(c, bytes, size));
    free(bytes);
}

static void
use_stdio(void)
{
    char word[64] = "";

    (void)printf("hello\n");
    (void)fflush(stdout);
    if (fgets(word, sizeof word, stdin))
        (void)printf("you said %s", word);
    if (write(STDOUT_FILENO, "raw\n", 4) != 4)
        prefork_log(PREFORK_LOG_NOTICE, "descriptor 1 is not the null device");
}

static void
answer(struct prefork_conn *c, void *data)
{
    char line[256];

    (void)data;
    if (getenv("TLS_STDIO")) {
        use_stdio();
        return;
    }
    while (prefork_gets(c, line, sizeof line) > 0) {
        if (strcmp(line, "facts\n") == 0)
            tell_facts(c);
        else if (strcmp(line, "swallow\n") == 0)
            swallow(c);
        else if (strncmp(line, "pour ", 5) == 0)
            pour(c, strtoul(line + 5, NULL, 10));
        else
            (void)prefork_printf(c, "what is %s", line);
    }
}

static int
password(char *buffer, size_t size, const char *key_file, void *data)
{
    (void)key_file;
    (void)data;
    return snprintf(buffer, size, "by hook");
}

static bool
judge(struct prefork_conn *c, bool good, int depth, const char *subject, const char *reason,
      void *data)
{
    (void)data;
    prefork_log(PREFORK_LOG_NOTICE, "judge %s %d %d %s %s", prefork_peer_address(c), good,
                depth, subject, reason);
    return depth > 0 || strstr(subject, getenv("TLS_JUDGE"));
}

static void
handshake_failed(struct prefork_conn *c, const char *reason, void *data)
{
    (void)data;
    prefork_log(PREFORK_LOG_NOTICE, "hook: %s failed: %s", prefork_peer_address(c), reason);
}

static void
post_accept(struct prefork_conn *c, void *data)
{
    (void)data;
    prefork_log(PREFORK_LOG_NOTICE, "hook: post_accept %s", prefork_tls_version(c));
}

static void
closed(struct prefork_worker *w, void *data)
{
    (void)data;
    prefork_log(PREFORK_LOG_NOTICE, "hook: closed after %lu", prefork_requests(w));
}

int
main(int argc, char **argv)
{
    struct prefork_app app = {
        .name = "tls",
        .SSL_passwd_cb = password,
        .SSL_verify_callback = getenv("TLS_JUDGE") ? judge : NULL,
        .SSL_error_callback = handshake_failed,
        .post_accept_hook = post_accept,
        .process_request = answer,
        .post_client_connection_hook = closed,
    };

    return prefork_main(argc, argv, &app);
}
