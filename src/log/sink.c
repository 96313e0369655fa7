/* One descriptor, whatever is behind it.
 *
 * The process that opened the sink, the master, is its owner: only it holds the directory
 * and the address by which a file or a daemon is found again. Everybody else was forked
 * from it, writes to the same descriptor, and is handed a new one when there is one. The
 * mark tells descriptors apart; its low bits say by which way a daemon is reached, so
 * that one number is all that has to travel with a descriptor.
 *
 * Standard error may be a pipe shared with processes that expect it to block, so
 * O_NONBLOCK (a property of the pipe's end, not of our descriptor) is not set there.
 * poll(2) says whether at least PIPE_BUF bytes fit; lines are shorter than that, and
 * writes of that size are atomic (pipe(7)). In the worst case, several processes seeing
 * the same room, a line waits for the reader once. */
#include "log/sink.h"

#include "os/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRY_AGAIN  PF_SECOND
#define START_WAIT 1000 /* milliseconds that a TCP connection may take at start */

enum {
    LINE_BYTES = 2048, /* less than PIPE_BUF */
    WAY_BITS = 3,
};

static uint32_t
next_mark(uint32_t mark, enum pf_syslog_way way)
{
    uint32_t generation = (mark >> WAY_BITS) + 1;

    if (generation << WAY_BITS == 0)
        generation = 1; /* wrapped */
    return generation << WAY_BITS | (uint32_t)way;
}

/* A machine's name as it stands in lines: without its domain. */
static void
find_host(struct pf_sink *s)
{
    if (gethostname(s->host, sizeof s->host - 1) < 0 || s->host[0] == '\0')
        (void)snprintf(s->host, sizeof s->host, "localhost");
    s->host[strcspn(s->host, ". ")] = '\0';
}

/* What whoever reads why a file cannot be opened may do about it. */
static const char *
remedy(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR: return "; make its directory, or name another path";
    case EISDIR: return "; name a file in it";
    case EACCES:
    case EPERM:
    case EROFS: return "; let whoever starts the server write there, or name another path";
    default: return "";
    }
}

static int
open_file(struct pf_sink *s, struct pf_error *error)
{
    int r = pf_place_open(&s->place, s->target.path);

    if (r == 0)
        r = pf_file_open(&s->place);
    if (r < 0)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, -r, "%s %s: %s%s", s->target.key,
                            s->target.path, strerror(-r), remedy(-r));
    s->fd = r;
    return 0;
}

static const char *
way_name(enum pf_syslog_way way)
{
    static const char *const names[] = {"unix", "stream", "udp", "tcp", "console"};

    return names[way];
}

static int
be_unreachable(struct pf_sink *s, int errnum, struct pf_error *error)
{
    const struct pf_syslog *y = &s->target.syslog;
    enum pf_syslog_way way = y->ways[0];
    const char *why = strerror(errnum);
    char where[256];

    if (way == PF_SYSLOG_UDP || way == PF_SYSLOG_TCP) {
        (void)snprintf(where, sizeof where, "%s port %u", y->host, y->port);
        if (s->remote.address_bytes == 0)
            why = "there is no address of this name";
    } else {
        (void)snprintf(where, sizeof where, "%s",
                       way == PF_SYSLOG_CONSOLE ? "/dev/console" : y->path);
    }
    (void)pf_error_set(error, PREFORK_EXIT_SYSTEM, errnum,
                       "syslog cannot be reached (%s, %s): %s; %s", way_name(way), where,
                       why,
                       y->nofatal ? "lines are lost until it can"
                                  : "start the daemon, or add nofatal to syslog_logopt");
    return y->nofatal ? PF_SINK_E_UNREACHABLE : -errnum;
}

static int
open_syslog(struct pf_sink *s, struct pf_error *error)
{
    const struct pf_syslog *y = &s->target.syslog;
    int fd;

    find_host(s);
    if (y->cons)
        s->console = pf_console_open(); /* or there is none */
    pf_remote_open(&s->remote, y);
    fd = pf_remote_connect(&s->remote, y, START_WAIT, &s->way);
    s->fd = fd < 0 ? -1 : fd;
    s->mark = next_mark(s->mark, s->way);
    return fd < 0 ? be_unreachable(s, -fd, error) : 0;
}

int
pf_sink_open(struct pf_sink *s, const struct pf_log_target *target, struct pf_error *error)
{
    int r = 0;

    *s = (struct pf_sink)PF_SINK_STDERR;
    s->target = *target;
    if (target->kind == PF_LOG_FILE)
        r = open_file(s, error);
    else if (target->kind == PF_LOG_SYSLOG)
        r = open_syslog(s, error);
    if (r < 0)
        pf_sink_close(s);
    return r;
}

static void
close_fd(struct pf_sink *s)
{
    if (s->fd != STDERR_FILENO)
        pf_fd_close(&s->fd);
}

void
pf_sink_disown(struct pf_sink *s)
{
    s->owner = false;
    s->lost = 0;
    pf_place_close(&s->place);
    pf_remote_close(&s->remote);
}

void
pf_sink_close(struct pf_sink *s)
{
    close_fd(s);
    pf_fd_close(&s->console);
    pf_sink_disown(s);
    *s = (struct pf_sink)PF_SINK_STDERR;
}

void
pf_sink_take(struct pf_sink *s, int fd, uint32_t mark)
{
    close_fd(s);
    s->fd = fd;
    s->mark = mark;
    s->way = (enum pf_syslog_way)(mark & ((1U << WAY_BITS) - 1));
    if (s->leads_stderr)
        (void)dup2(fd, STDERR_FILENO); /* cannot fail: both are open */
}

void
pf_sink_succeed(struct pf_sink *s, uint32_t mark)
{
    if (s->mark != 0)
        s->mark = next_mark(mark, s->way);
}

int
pf_sink_renew(struct pf_sink *s)
{
    enum pf_syslog_way way = PF_SYSLOG_UNIX;
    int fd = -EINVAL;

    if (s->owner && s->target.kind == PF_LOG_FILE)
        fd = pf_file_open(&s->place);
    else if (s->owner && s->target.kind == PF_LOG_SYSLOG)
        fd = pf_remote_connect(&s->remote, &s->target.syslog, 0, &way);
    if (fd < 0)
        return fd;
    pf_sink_take(s, fd, next_mark(s->mark, way));
    return 0;
}

int
pf_sink_repair(struct pf_sink *s, pf_time now)
{
    if (s->target.kind != PF_LOG_SYSLOG)
        return -EINVAL;
    if (now < s->next_try)
        return -EAGAIN;
    s->next_try = now + TRY_AGAIN;
    return pf_sink_renew(s);
}

/* ---- lines ----------------------------------------------------------------------- */

static int
write_file(struct pf_sink *s, const struct pf_line *line)
{
    char buffer[LINE_BYTES] = "\n";
    struct pollfd room = {.fd = s->fd, .events = POLLOUT};
    struct pf_text t;

    pf_text_init(&t, buffer + 1, sizeof buffer - 2);
    pf_line_add(&t, line);
    t.bytes[t.length] = '\n';
    if (s->target.kind == PF_LOG_STDERR &&
        (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT)))
        return -EAGAIN;
    return pf_file_write(s->fd, buffer, t.length + 2, &s->torn) == 0 ? 0 : -EAGAIN;
}

/* A line for the console; bytes is how long it is. */
static void
make_tagged(char buffer[LINE_BYTES], const struct pf_line *line, size_t *ret_bytes)
{
    struct pf_text t;

    pf_text_init(&t, buffer, LINE_BYTES - 2);
    pf_line_add_tagged(&t, line);
    buffer[t.length++] = '\r';
    buffer[t.length++] = '\n';
    *ret_bytes = t.length;
}

/* A line for the daemon; on streams a newline is its end. */
static void
make_syslog(char buffer[LINE_BYTES], const struct pf_sink *s, const struct pf_line *line,
            size_t *ret_bytes)
{
    bool leaves = s->way == PF_SYSLOG_UDP || s->way == PF_SYSLOG_TCP;
    struct pf_text t;

    pf_text_init(&t, buffer, LINE_BYTES - 1);
    pf_line_add_syslog(&t, line, s->target.syslog.facility, leaves ? s->host : NULL);
    if (s->way == PF_SYSLOG_STREAM || s->way == PF_SYSLOG_TCP)
        buffer[t.length++] = '\n';
    *ret_bytes = t.length;
}

static int
write_syslog(struct pf_sink *s, const struct pf_line *line)
{
    const struct pf_syslog *y = &s->target.syslog;
    struct pf_line named = *line;
    char buffer[LINE_BYTES];
    size_t bytes;
    int r;

    named.name = y->ident ? y->ident : line->name;
    named.pid = y->pid ? line->pid : 0;
    if (s->way == PF_SYSLOG_CONSOLE)
        make_tagged(buffer, &named, &bytes);
    else
        make_syslog(buffer, s, &named, &bytes);
    r = pf_remote_send(s->way, s->fd, buffer, bytes);
    if (r < 0 && s->console >= 0) {
        make_tagged(buffer, &named, &bytes);
        (void)pf_remote_send(PF_SYSLOG_CONSOLE, s->console, buffer,
                             bytes); /* best effort */
    }
    return r;
}

int
pf_sink_write(struct pf_sink *s, const struct pf_line *line)
{
    return s->target.kind == PF_LOG_SYSLOG ? write_syslog(s, line) : write_file(s, line);
}
