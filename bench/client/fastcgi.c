/* A client of FastCGI that opens one connection per request and counts exactly.
 *
 *   client-fastcgi load ADDRESS PORT CONNECTIONS CLIENTS [SCRIPT]
 *
 * All connections are made from CLIENTS processes. Each asks for the program at the path
 * SCRIPT, as a web server asks php-fpm; without it for /ping, php-fpm's ping.path. A
 * request is answered if something came for its standard output that does not begin with a
 * status (php says one unless it is 200), and it was complete at its end. Prints "answered
 * failed microseconds". ADDRESS is one of loopback, or the path of a unix socket, which
 * begins with a slash and has any PORT.
 *
 * A request of FastCGI is a run of records, each a head of eight bytes and a body: how it
 * begins, its parameters, its standard input, each stream ended by an empty record. It is
 * the same every time and made once. */
#include "common.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum record { BEGIN_REQUEST = 1, END_REQUEST = 3, PARAMS = 4, STDIN = 5, STDOUT = 6 };

enum {
    VERSION = 1,
    ID = 1,
    RESPONDER = 1,
    HEAD = 8,
    LONG = 1 << 16, /* a body and its padding are less */
};

/* The bytes of the one request. */
static unsigned char request[8192];
static size_t request_bytes;

static struct target server;

/* ---- the request -------------------------------------------------------------------- */

static void
put(const void *data, size_t size)
{
    if (size > sizeof request - request_bytes)
        errx(64, "the request is too long");
    memcpy(request + request_bytes, data, size);
    request_bytes += size;
}

static void
put_record(enum record type, const void *body, size_t size)
{
    const unsigned char head[HEAD] = {
        VERSION, (unsigned char)type,        0,
        ID,      (unsigned char)(size >> 8), (unsigned char)size};

    put(head, sizeof head);
    put(body, size);
}

/* The two lengths, of four bytes because a path may have more than 127, and the two texts.
 */
static void
put_param(const char *name, const char *value)
{
    unsigned char body[2048];
    size_t sizes[2] = {strlen(name), strlen(value)};
    size_t at = 0;

    if (8 + sizes[0] + sizes[1] > sizeof body)
        errx(64, "%s is too long", value);
    for (int i = 0; i < 2; i++) {
        body[at++] = 0x80;
        body[at++] = 0;
        body[at++] = (unsigned char)(sizes[i] >> 8);
        body[at++] = (unsigned char)sizes[i];
    }
    memcpy(body + at, name, sizes[0]);
    memcpy(body + at + sizes[0], value, sizes[1]);
    put_record(PARAMS, body, at + sizes[0] + sizes[1]);
}

static void
make_request(const char *script)
{
    static const unsigned char begin[8] = {0, RESPONDER};

    put_record(BEGIN_REQUEST, begin, sizeof begin);
    put_param("SCRIPT_FILENAME", script);
    put_param("SCRIPT_NAME", script);
    put_param("REQUEST_URI", script);
    put_param("REQUEST_METHOD", "GET");
    put_param("QUERY_STRING", "");
    put_param("SERVER_PROTOCOL", "HTTP/1.0");
    put_param("GATEWAY_INTERFACE", "CGI/1.1");
    put_record(PARAMS, "", 0);
    put_record(STDIN, "", 0);
}

/* ---- the answer --------------------------------------------------------------------- */

static bool
receive(int fd, unsigned char *data, size_t size)
{
    return size == 0 || recv(fd, data, size, MSG_WAITALL) == (ssize_t)size;
}

/* Records up to the last one: something was said that is no status, and all is well with
 * the request (four bytes of the program's status, one of the protocol's). */
static bool
is_answered(int fd)
{
    static unsigned char body[2 * LONG];
    unsigned char head[HEAD];
    bool was_said = false;

    while (receive(fd, head, sizeof head)) {
        size_t size = (size_t)head[4] << 8 | head[5];
        if (!receive(fd, body, size + head[6]))
            return false;
        if (head[1] == END_REQUEST)
            return was_said && size >= 5 && memcmp(body, "\0\0\0\0\0", 5) == 0;
        if (head[1] == STDOUT && size > 0 && !was_said)
            was_said = size < 7 || memcmp(body, "Status:", 7) != 0;
    }
    return false;
}

static void
work(struct counts *counts, long connections, long until)
{
    (void)until;
    for (long i = 0; i < connections; i++) {
        int fd = open_connection(&server);
        if (fd >= 0 &&
            send(fd, request, request_bytes, MSG_NOSIGNAL) == (ssize_t)request_bytes &&
            is_answered(fd))
            counts->answered++;
        else
            counts->failed++;
        if (fd >= 0)
            (void)close(fd);
    }
}

int
main(int argc, char **argv)
{
    if (argc < 6 || argc > 7 || strcmp(argv[1], "load") != 0 || atoi(argv[5]) <= 0)
        errx(64, "usage: client-fastcgi load ADDRESS PORT CONNECTIONS CLIENTS [SCRIPT]");
    aim(&server, argv[2], argv[3]);
    make_request(argc == 7 ? argv[6] : "/ping");
    crowd(work, atol(argv[4]), 0, atoi(argv[5]));
    return 0;
}
