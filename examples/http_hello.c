/* http_hello: an HTTP/1.1 server that answers every request with a greeting.
 *
 * Shows what a worker may keep over its life (a counter, made in child_init_hook) and how
 * to talk to one client after the other without trusting any: a request line is read
 * plainly, everything that is not one is answered with 400 and the connection is closed.
 *
 * One request per connection: the reply says "Connection: close". A pool of processes
 * serves as many clients at once as it has workers, so a client that keeps its connection
 * open keeps a worker.
 *
 *     build/examples/http_hello --port 127.0.0.1:8080
 *     curl -i http://127.0.0.1:8080/ */
#include <prefork/prefork.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    LINE_BYTES = 4096,
    HEADERS_MAX = 100,
    PATIENCE_S = 10, /* a client that says nothing for so long is given up */
};

struct state {
    unsigned long greeted; /* by this worker */
};

struct request {
    char line[LINE_BYTES];
    const char *method;
    const char *target;
};

static int
init(struct prefork_worker *w, void *data)
{
    struct state *state = data;

    (void)w;
    state->greeted = 0;
    return 0;
}

/* A client that sends nothing costs this worker no more than PATIENCE_S. */
static void
limit_patience(struct prefork_conn *c, void *data)
{
    struct timeval patience = {.tv_sec = PATIENCE_S};

    (void)data;
    (void)setsockopt(prefork_fd(c), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

/* "GET /path HTTP/1.1" into its words (RFC 9112, section 3). */
static bool
split(struct request *r)
{
    char *target = strchr(r->line, ' ');
    char *version = target ? strchr(target + 1, ' ') : NULL;

    if (!version || target == r->line || target[1] != '/')
        return false;
    *target = '\0';
    *version = '\0';
    r->method = r->line;
    r->target = target + 1;
    return strncmp(version + 1, "HTTP/1.", 7) == 0;
}

static bool
read_line(struct prefork_conn *c, char *line)
{
    ssize_t n = prefork_gets(c, line, LINE_BYTES);

    if (n <= 0 || line[n - 1] != '\n')
        return false;
    line[strcspn(line, "\r\n")] = '\0';
    return true;
}

static bool
read_request(struct prefork_conn *c, struct request *r)
{
    char header[LINE_BYTES];
    int n = 0;

    if (!read_line(c, r->line) || !split(r))
        return false;
    while (n++ < HEADERS_MAX && read_line(c, header)) {
        if (header[0] == '\0')
            return true;
    }
    return false;
}

static void
reply(struct prefork_conn *c, const char *status, const char *body, bool head_only)
{
    /* A client that is gone does not need to be told anything. */
    (void)prefork_printf(c,
                         "HTTP/1.1 %s\r\n"
                         "Content-Type: text/plain\r\n"
                         "Content-Length: %zu\r\n"
                         "Connection: close\r\n"
                         "\r\n%s",
                         status, strlen(body), head_only ? "" : body);
}

/* Closing a socket with unread input resets the connection, and the client might lose a
 * reply it has not read yet (RFC 9112, section 9.6): say that we are done, then read what
 * little there may be. */
static void
finish(struct prefork_conn *c)
{
    char rest[1024];

    (void)shutdown(prefork_fd(c), SHUT_WR);
    for (int n = 0; n < 16 && prefork_read(c, rest, sizeof rest) > 0; n++)
        continue;
}

static void
serve(struct prefork_conn *c, void *data)
{
    struct state *state = data;
    struct request r;
    char body[256];

    if (!read_request(c, &r)) {
        reply(c, "400 Bad Request", "this is not a request\n", false);
        finish(c);
        return;
    }
    (void)snprintf(body, sizeof body, "hello, %s: worker %d has greeted %lu\n",
                   prefork_peer_address(c), (int)getpid(), ++state->greeted);
    reply(c, "200 OK", body, strcmp(r.method, "HEAD") == 0);
}

int
main(int argc, char **argv)
{
    struct state state;

    return prefork_main(argc, argv,
                        &(struct prefork_app){
                            .name = "http_hello",
                            .data = &state,
                            .child_init_hook = init,
                            .post_accept_hook = limit_patience,
                            .process_request = serve,
                        });
}
