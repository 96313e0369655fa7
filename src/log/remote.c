/* Talking to a syslog daemon without ever waiting for it.
 *
 * libc's syslog(3) sends on a blocking socket: a daemon that hangs makes everybody hang
 * who logs. Here every socket is non-blocking, and a line that does not fit is dropped.
 *
 * All processes of a server send on the same socket, which the master made. A datagram
 * is one line whoever sends it. On a stream a line must not be cut in two by another
 * process's, so one is only begun when the socket has room for it (it is writable only
 * while a third of its buffer or more is free), and a stream that took a part of a line
 * all the same is given up: its end is the end of the torn line.
 *
 * A path is connected to from its directory, which is held open: that reaches the daemon
 * from within a changed root as well. There is no connect(2) relative to a directory, so
 * the process steps into it and back; only if it is sure that it may step back. */
#include "log/remote.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define CONSOLE "/dev/console"

static bool
needs_path(enum pf_syslog_way way)
{
    return way == PF_SYSLOG_UNIX || way == PF_SYSLOG_STREAM;
}

static bool
needs_host(enum pf_syslog_way way)
{
    return way == PF_SYSLOG_UDP || way == PF_SYSLOG_TCP;
}

static void
resolve(struct pf_remote *r, const struct pf_syslog *s)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char port[16];

    (void)snprintf(port, sizeof port, "%u", s->port);
    if (getaddrinfo(s->host, port, &hints, &list) != 0)
        return;
    memcpy(&r->address, list->ai_addr, list->ai_addrlen);
    r->address_bytes = list->ai_addrlen;
    freeaddrinfo(list);
}

void
pf_remote_open(struct pf_remote *r, const struct pf_syslog *s)
{
    *r = (struct pf_remote){.place.directory = -1};
    for (unsigned i = 0; i < s->way_count; i++) {
        if (needs_path(s->ways[i]) && r->place.directory < 0)
            (void)pf_place_open(&r->place, s->path); /* tried again when connecting */
        if (needs_host(s->ways[i]) && r->address_bytes == 0)
            resolve(r, s);
    }
}

void
pf_remote_close(struct pf_remote *r)
{
    pf_place_close(&r->place);
}

static int
connect_path(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);

    if (length >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, length);
    return connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
}

/* Stepping to where one is proves that one may come back. */
static int
connect_from(int fd, const struct pf_place *p)
{
    int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int r;

    if (here < 0 || fchdir(here) < 0 || fchdir(p->directory) < 0) {
        r = connect_path(fd, p->path);
    } else {
        r = connect_path(fd, p->name);
        if (fchdir(here) < 0)
            r = -errno; /* was allowed a moment ago */
    }
    pf_fd_close(&here);
    return r;
}

static int
open_unix(struct pf_remote *r, const struct pf_syslog *s, int type)
{
    int fd;
    int code;

    if (r->place.directory < 0) {
        code = pf_place_open(&r->place, s->path);
        if (code < 0)
            return code;
    }
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    code = connect_from(fd, &r->place);
    if (code < 0)
        pf_fd_close(&fd);
    return code < 0 ? code : fd;
}

/* The datagram socket of most systems, or the stream socket of some. */
static int
open_native(struct pf_remote *r, const struct pf_syslog *s, enum pf_syslog_way *ret_way)
{
    int fd = open_unix(r, s, SOCK_DGRAM);

    *ret_way = PF_SYSLOG_UNIX;
    if (fd != -EPROTOTYPE)
        return fd;
    *ret_way = PF_SYSLOG_STREAM;
    return open_unix(r, s, SOCK_STREAM);
}

/* How a connection under way turned out: 0, also if it is not decided yet and there was
 * no time, or a negative errno. */
static int
await(int fd, int milliseconds)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    socklen_t bytes = sizeof(int);
    int errnum = 0;
    int n = poll(&p, 1, milliseconds);

    if (n == 0)
        return milliseconds > 0 ? -ETIMEDOUT : 0;
    (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &bytes);
    return -errnum;
}

static int
open_inet(const struct pf_remote *r, int type, int milliseconds)
{
    int code = 0;
    int fd;

    if (r->address_bytes == 0)
        return -EHOSTUNREACH;
    fd = socket(r->address.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&r->address, r->address_bytes) < 0)
        code = errno == EINPROGRESS ? await(fd, milliseconds) : -errno;
    if (code < 0)
        pf_fd_close(&fd);
    return code < 0 ? code : fd;
}

static int
open_way(struct pf_remote *r, const struct pf_syslog *s, enum pf_syslog_way way,
         int milliseconds, enum pf_syslog_way *ret_way)
{
    *ret_way = way;
    switch (way) {
    case PF_SYSLOG_UNIX: return open_native(r, s, ret_way);
    case PF_SYSLOG_STREAM: return open_unix(r, s, SOCK_STREAM);
    case PF_SYSLOG_UDP: return open_inet(r, SOCK_DGRAM, milliseconds);
    case PF_SYSLOG_TCP: return open_inet(r, SOCK_STREAM, milliseconds);
    case PF_SYSLOG_CONSOLE: return pf_console_open();
    }
    return -EINVAL;
}

int
pf_remote_connect(struct pf_remote *r, const struct pf_syslog *s, int milliseconds,
                  enum pf_syslog_way *ret_way)
{
    int first = 0;

    for (unsigned i = 0; i < s->way_count; i++) {
        enum pf_syslog_way way;
        int fd = open_way(r, s, s->ways[i], milliseconds, &way);
        if (fd >= 0) {
            *ret_way = way;
            return fd;
        }
        if (first == 0)
            first = fd;
    }
    return first;
}

int
pf_console_open(void)
{
    int fd = open(CONSOLE, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static ssize_t
put(int fd, const char *line, size_t bytes)
{
    ssize_t n;

    do
        n = send(fd, line, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
}

static bool
is_full(int errnum)
{
    return errnum == EAGAIN || errnum == ENOBUFS || errnum == ENOMEM || errnum == EMSGSIZE;
}

static int
send_datagram(int fd, const char *line, size_t bytes)
{
    if (put(fd, line, bytes) >= 0)
        return 0;
    return is_full(errno) ? -EAGAIN : -EPIPE;
}

/* An error is about the datagram before: that one was refused. There is no connection that
 * could be made anew, so this one is sent all the same. */
static int
send_udp(int fd, const char *line, size_t bytes)
{
    if (put(fd, line, bytes) >= 0)
        return 0;
    if (is_full(errno))
        return -EAGAIN;
    return put(fd, line, bytes) >= 0 ? PF_REMOTE_E_EARLIER : -EAGAIN;
}

/* A daemon that has closed its end is noticed before the line is lost to it. */
static int
send_stream(int fd, const char *line, size_t bytes)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT | POLLRDHUP};

    if (poll(&p, 1, 0) < 0 || p.revents == 0)
        return -EAGAIN;
    if (p.revents & (POLLERR | POLLHUP | POLLRDHUP | POLLNVAL))
        return -EPIPE;
    if (put(fd, line, bytes) == (ssize_t)bytes)
        return 0;
    return -EPIPE;
}

static int
write_console(int fd, const char *line, size_t bytes)
{
    return write(fd, line, bytes) == (ssize_t)bytes ? 0 : -EAGAIN;
}

int
pf_remote_send(enum pf_syslog_way way, int fd, const char *line, size_t bytes)
{
    if (fd < 0)
        return -EPIPE;
    switch (way) {
    case PF_SYSLOG_UNIX: return send_datagram(fd, line, bytes);
    case PF_SYSLOG_UDP: return send_udp(fd, line, bytes);
    case PF_SYSLOG_STREAM:
    case PF_SYSLOG_TCP: return send_stream(fd, line, bytes);
    case PF_SYSLOG_CONSOLE: return write_console(fd, line, bytes);
    }
    return -EPIPE;
}
