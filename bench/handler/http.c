/* HTTP/1.1 with keep-alive as a callback, for the row keepalive: every GET on a connection
 * is answered until the client hangs up or asks for an end.
 *
 * A worker belongs to a client for as long as that one stays, as with every pool of
 * processes, so a load needs as many workers as it has connections. What a server for the
 * world needs besides (patience that ends, a request line that is looked at) has
 * examples/http_hello.c, which closes after each answer. */
#include <prefork/prefork.h>

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const char kept[] = "HTTP/1.1 200 OK\r\n"
                           "Content-Type: text/plain\r\n"
                           "Content-Length: 6\r\n"
                           "\r\n"
                           "hello\n";
static const char last[] = "HTTP/1.1 200 OK\r\n"
                           "Content-Type: text/plain\r\n"
                           "Content-Length: 6\r\n"
                           "Connection: close\r\n"
                           "\r\n"
                           "hello\n";
static const char bad[] = "HTTP/1.1 400 Bad Request\r\n"
                          "Content-Length: 0\r\n"
                          "Connection: close\r\n"
                          "\r\n";

enum outcome { GONE, BAD, CLOSE, KEEP };

static bool
is_end(const char *line)
{
    return strcmp(line, "\r\n") == 0 || strcmp(line, "\n") == 0;
}

/* The head of one request, up to its empty line. Bodies are not read: GET has none. */
static enum outcome
read_head(struct prefork_conn *c)
{
    char line[4096];
    bool keep;

    if (prefork_gets(c, line, sizeof line) <= 0)
        return GONE;
    if (strncmp(line, "GET /", 5) != 0)
        return BAD;
    keep = strstr(line, " HTTP/1.1") != NULL;
    while (prefork_gets(c, line, sizeof line) > 0) {
        if (is_end(line))
            return keep ? KEEP : CLOSE;
        if (strncasecmp(line, "Connection: close", 17) == 0)
            keep = false;
    }
    return GONE;
}

static void
serve(struct prefork_conn *c, void *data)
{
    enum outcome outcome;

    (void)data;
    do {
        outcome = read_head(c);
    } while (outcome == KEEP && prefork_write(c, kept, sizeof kept - 1) == 0);
    if (outcome == CLOSE)
        (void)prefork_write(c, last, sizeof last - 1);
    else if (outcome == BAD)
        (void)prefork_write(c, bad, sizeof bad - 1);
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "http", .process_request = serve});
}
