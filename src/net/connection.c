/* One accepted connection.
 *
 * The socket is blocking. Should a handler have made it non-blocking, reading and writing
 * here still behave as documented: they wait with poll(2). Output is not buffered: what
 * prefork_write() returned from is in the kernel. Input is read ahead only by
 * prefork_gets(), into a buffer of fixed size. With TLS all of it goes through the session
 * (net/tls.c).
 *
 * Of a datagram all input is there from the start, and nothing follows it. Output goes to
 * net/datagram.c. */
#include "net/connection.h"

#include "base/address.h"
#include "net/datagram.h"
#include "net/listener.h"
#include "net/tls.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
pf_connection_open(struct prefork_conn *c, int fd, const struct pf_listener *listener)
{
    c->fd = fd;
    c->listener = listener;
    c->tls = NULL;
    c->peer.known = true;
    c->peer.text[0] = c->peer.host[0] = '\0';
    c->local.known = false;
    c->local.text[0] = c->local.host[0] = '\0';
    c->looked_up = false;
    c->datagram = NULL;
    c->input = c->ahead;
    c->input_start = c->input_end = 0;
}

void
pf_connection_open_datagram(struct prefork_conn *c, struct pf_datagram *datagram,
                            const struct pf_listener *listener)
{
    pf_connection_open(c, listener->fd, listener);
    c->datagram = datagram;
    c->input = datagram->bytes;
    c->input_end = datagram->size;
}

void
pf_connection_close(struct prefork_conn *c)
{
    pf_tls_finish(c);
    if (!c->datagram)
        (void)close(c->fd);
    c->fd = -1;
}

static int
wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};

    return poll(&p, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

/* After a failed call: 0 to try again, or the negative errno to return. */
static int
retry(int fd, short events)
{
    if (errno == EINTR)
        return 0;
    if (errno == EAGAIN)
        return wait_for(fd, events);
    return -errno;
}

static ssize_t
receive(struct prefork_conn *c, void *buffer, size_t size)
{
    if (c->datagram)
        return 0;
    if (c->tls)
        return pf_tls_read(c, buffer, size);
    for (;;) {
        ssize_t n = recv(c->fd, buffer, size, 0);
        int r;
        if (n >= 0)
            return n;
        r = retry(c->fd, POLLIN);
        if (r < 0)
            return r;
    }
}

static size_t
take_input(struct prefork_conn *c, void *buffer, size_t size)
{
    size_t have = c->input_end - c->input_start;

    if (size > have)
        size = have;
    memcpy(buffer, c->input + c->input_start, size);
    c->input_start += size;
    return size;
}

ssize_t
pf_connection_read(struct prefork_conn *c, void *buffer, size_t size)
{
    if (c->input_start < c->input_end)
        return (ssize_t)take_input(c, buffer, size);
    return receive(c, buffer, size);
}

/* Bytes of the input that belong to the line: up to its newline, or all there are. */
static size_t
line_bytes(const struct prefork_conn *c, bool *ret_complete)
{
    const char *start = c->input + c->input_start;
    size_t have = c->input_end - c->input_start;
    const char *newline = memchr(start, '\n', have);

    *ret_complete = newline != NULL;
    return newline ? (size_t)(newline - start) + 1 : have;
}

ssize_t
pf_connection_gets(struct prefork_conn *c, char *buffer, size_t size)
{
    size_t length = 0;
    bool complete = false;

    if (size < 2)
        return -EINVAL;
    while (!complete && length < size - 1) {
        size_t n;
        if (c->input_start == c->input_end) {
            ssize_t got = receive(c, c->ahead, sizeof c->ahead);
            if (got < 0 && length == 0)
                return got;
            if (got <= 0)
                break;
            c->input_start = 0;
            c->input_end = (size_t)got;
        }
        n = line_bytes(c, &complete);
        if (n > size - 1 - length)
            complete = false;
        length +=
            take_input(c, buffer + length, n > size - 1 - length ? size - 1 - length : n);
    }
    buffer[length] = '\0';
    return (ssize_t)length;
}

int
pf_connection_write(struct prefork_conn *c, const void *bytes, size_t size)
{
    const char *next = bytes;

    if (c->datagram)
        return pf_datagram_send(c->datagram, c->fd, &c->peer.address, c->peer.address_bytes,
                                bytes, size);
    if (c->tls)
        return pf_tls_write(c, bytes, size);
    while (size > 0) {
        ssize_t n = send(c->fd, next, size, MSG_NOSIGNAL);
        if (n >= 0) {
            next += n;
            size -= (size_t)n;
        } else {
            int r = retry(c->fd, POLLOUT);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

int
pf_connection_vprintf(struct prefork_conn *c, const char *format, va_list args)
{
    char small[1024];
    char *text = small;
    va_list again;
    int length;
    int r;

    va_copy(again, args);
    length = vsnprintf(small, sizeof small, format, args);
    if (length >= (int)sizeof small && vasprintf(&text, format, again) < 0)
        length = -1;
    va_end(again);
    if (length < 0)
        return -errno;
    r = pf_connection_write(c, text, (size_t)length);
    if (text != small)
        free(text);
    return r;
}

const void *
pf_connection_datagram(const struct prefork_conn *c, size_t *ret_size)
{
    if (!c->datagram)
        return NULL;
    *ret_size = c->datagram->size;
    return c->datagram->bytes;
}

size_t
pf_connection_datagram_cut(const struct prefork_conn *c)
{
    return c->datagram ? c->datagram->cut : 0;
}

bool
pf_connection_is_unix(const struct prefork_conn *c)
{
    return pf_proto_is_unix(c->listener->proto);
}

const char *
pf_connection_proto(const struct prefork_conn *c)
{
    return pf_proto_name(c->listener->proto);
}

static struct pf_connection_end *
local_end(struct prefork_conn *c)
{
    socklen_t bytes = sizeof c->local.address;

    if (!c->local.known) {
        c->local.known = true;
        c->local.address = (struct sockaddr_storage){0};
        if (getsockname(c->fd, (struct sockaddr *)&c->local.address, &bytes) < 0)
            bytes = 0;
        else if (c->datagram)
            bytes = pf_datagram_local(c->datagram, &c->local.address, bytes);
        c->local.address_bytes = bytes;
    }
    return &c->local;
}

static const char *
text_of(struct prefork_conn *c, struct pf_connection_end *end)
{
    if (pf_connection_is_unix(c) && (!c->datagram || end == &c->local))
        return c->listener->address; /* a stream's client has a name that says nothing */
    if (end->text[0] == '\0')
        pf_address_format((const struct sockaddr *)&end->address, end->address_bytes,
                          end->text, sizeof end->text);
    return end->text;
}

static const char *
host_of(struct prefork_conn *c, struct pf_connection_end *end)
{
    if (end->host[0] == '\0' && !pf_connection_is_unix(c))
        pf_address_host((const struct sockaddr *)&end->address, end->address_bytes,
                        end->host, sizeof end->host);
    return end->host;
}

static unsigned
port_of(const struct pf_connection_end *end)
{
    return pf_address_port((const struct sockaddr *)&end->address, end->address_bytes);
}

const char *
pf_connection_peer_text(struct prefork_conn *c)
{
    return text_of(c, &c->peer);
}

const char *
pf_connection_peer_host(struct prefork_conn *c)
{
    return host_of(c, &c->peer);
}

unsigned
pf_connection_peer_port(struct prefork_conn *c)
{
    return port_of(&c->peer);
}

const char *
pf_connection_local_text(struct prefork_conn *c)
{
    return text_of(c, local_end(c));
}

const char *
pf_connection_local_host(struct prefork_conn *c)
{
    return host_of(c, local_end(c));
}

unsigned
pf_connection_local_port(struct prefork_conn *c)
{
    return port_of(local_end(c));
}
