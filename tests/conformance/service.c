/* service: what the tests of Net::Server serve, in C. It greets; then one line is one wish:
 *
 *     quit        the end of this connection
 *     exit        the end of the server
 *     get NAME    one fact of the connection or its worker: proto, peeraddr, peerport,
 *                 sockaddr, sockport, peer, local, requests, pid
 *     tell WORDS  writes a line "told WORDS" into the log
 *     ANYTHING    You said "ANYTHING"
 *
 * A datagram is one wish, and what it gets is one datagram.
 *
 * With SERVICE_LOUD in the environment hooks say their names in the log, and clients are
 * let in that begin with a line of their own, whatever it is but "no". SERVICE_DEFAULTS
 * holds "key value" lines that configure_hook sets, SERVICE_VALUES such lines that are set
 * before the server is run. */
#include <prefork/prefork.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
say(const char *hook)
{
    if (getenv("SERVICE_LOUD"))
        prefork_log(PREFORK_LOG_NOTICE, "hook %s", hook);
}

/* "key value" lines become settings. */
static int
set_all(struct prefork *p, const char *lines)
{
    char *text = lines ? strdup(lines) : NULL;
    char *rest = text;
    char *line;
    int r = 0;

    while (r == 0 && rest && (line = strsep(&rest, "\n"))) {
        char *key = strsep(&line, " ");

        r = prefork_set(p, key, line ? line : "");
    }
    free(text);
    return r;
}

static int
configure(struct prefork *p, void *data)
{
    (void)data;
    return set_all(p, getenv("SERVICE_DEFAULTS"));
}

static void
answer_fact(struct prefork_conn *c, const char *name)
{
    struct prefork_worker *w = prefork_conn_worker(c);

    if (strcmp(name, "proto") == 0)
        (void)prefork_printf(c, "%s\r\n", prefork_proto(c));
    else if (strcmp(name, "peeraddr") == 0)
        (void)prefork_printf(c, "%s\r\n", prefork_peer_address(c));
    else if (strcmp(name, "peerport") == 0)
        (void)prefork_printf(c, "%u\r\n", prefork_peer_port(c));
    else if (strcmp(name, "sockaddr") == 0)
        (void)prefork_printf(c, "%s\r\n", prefork_local_address(c));
    else if (strcmp(name, "sockport") == 0)
        (void)prefork_printf(c, "%u\r\n", prefork_local_port(c));
    else if (strcmp(name, "peer") == 0)
        (void)prefork_printf(c, "%s\r\n", prefork_peer_text(c));
    else if (strcmp(name, "local") == 0)
        (void)prefork_printf(c, "%s\r\n", prefork_local_text(c));
    else if (strcmp(name, "requests") == 0)
        (void)prefork_printf(c, "%lu\r\n", prefork_requests(w));
    else if (strcmp(name, "pid") == 0)
        (void)prefork_printf(c, "%d\r\n", (int)getpid());
    else
        (void)prefork_printf(c, "no such fact: %s\r\n", name);
}

static void
stop(void)
{
    prefork_stop("a client asked for it");
}

/* False: the conversation is over. */
static bool
answer(struct prefork_conn *c, const char *line)
{
    if (strcmp(line, "quit") == 0)
        return false;
    if (strcmp(line, "exit") == 0) {
        stop();
        return false;
    }
    if (strncmp(line, "get ", 4) == 0)
        answer_fact(c, line + 4);
    else if (strncmp(line, "tell ", 5) == 0)
        prefork_log(PREFORK_LOG_NOTICE, "told %s", line + 5);
    else
        (void)prefork_printf(c, "You said \"%s\"\r\n", line);
    return true;
}

/* The size in the answer tells what was cut off. */
static void
answer_datagram(struct prefork_conn *c)
{
    char text[65536];
    ssize_t n = prefork_read(c, text, sizeof text - 1);

    text[n > 0 ? n : 0] = '\0';
    if (strncmp(text, "size", 4) == 0)
        (void)prefork_printf(c, "%zd", n);
    else
        (void)answer(c, text);
}

static void
converse(struct prefork_conn *c, void *data)
{
    char line[1024];

    (void)data;
    say("process_request");
    if (strcmp(prefork_proto(c), "udp") == 0 ||
        strcmp(prefork_proto(c), "unixdgram") == 0) {
        answer_datagram(c);
        return;
    }
    (void)prefork_printf(c, "Welcome to \"service\" (%d)\r\n", (int)getpid());
    while (prefork_gets(c, line, sizeof line) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (!answer(c, line))
            return;
    }
    say("the client said all");
}

static bool
is_welcome(struct prefork_conn *c, void *data)
{
    char line[80];

    (void)data;
    say("allow_deny_hook");
    return !getenv("SERVICE_LOUD") ||
           (prefork_gets(c, line, sizeof line) > 0 && strcmp(line, "no\n") != 0);
}

static void
send_away(struct prefork_conn *c, void *data)
{
    (void)data;
    say("request_denied_hook");
    (void)prefork_printf(c, "denied\r\n");
}

static void
end(const char *reason, void *data)
{
    (void)data;
    prefork_log(PREFORK_LOG_NOTICE, "before_shutdown %s", reason);
}

int
main(int argc, char **argv)
{
    const struct prefork_app app = {
        .name = "service",
        .configure_hook = configure,
        .allow_deny_hook = is_welcome,
        .process_request = converse,
        .request_denied_hook = send_away,
        .before_shutdown = end,
    };
    struct prefork *p;
    int status;

    if (!getenv("SERVICE_VALUES"))
        return prefork_main(argc, argv, &app);
    p = prefork_new(&app);
    if (!p || set_all(p, getenv("SERVICE_VALUES")) < 0 ||
        prefork_args(p, argc, argv, NULL) < 0) {
        (void)fprintf(stderr, "%s\n", p ? prefork_error(p) : "no memory");
        return PREFORK_EXIT_USAGE;
    }
    status = prefork_run(p);
    if (status != PREFORK_EXIT_OK)
        (void)fprintf(stderr, "%s\n", prefork_error(p));
    prefork_free(p);
    return status;
}
