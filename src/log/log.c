/* The log: format a line, write it if that does not block.
 *
 * Standard error may be a pipe that is shared with processes that expect it to block, so
 * O_NONBLOCK (a property of the pipe's end, not of our descriptor) is not set. poll(2)
 * says whether at least PIPE_BUF bytes fit; lines are shorter than that, and writes of
 * that size are atomic (pipe(7)). In the worst case, several processes seeing the same
 * room, a line waits for the reader once.
 *
 * The log is the one thing with file-scope state that all rooms may use: there is one
 * standard error per process, too. */
#include "log/log.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_BYTES = 2048, /* less than PIPE_BUF */
    TEXT_BYTES = LINE_BYTES / 4 - 64,
};

static struct {
    const char *name;
    int level;
    int fd;
    unsigned long lost; /* lines since the last one that got through */
} the_log = {.name = "prefork", .level = PREFORK_LOG_NOTICE, .fd = STDERR_FILENO};

void
pf_log_open(const char *name, int level)
{
    the_log.name = name;
    the_log.level = level;
}

int
pf_log_open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

    if (fd < 0)
        return -errno;
    if (the_log.fd != STDERR_FILENO)
        (void)close(the_log.fd);
    the_log.fd = fd;
    return 0;
}

int
pf_log_fd(void)
{
    return the_log.fd;
}

bool
pf_log_wants(enum prefork_log_level level)
{
    return (int)level <= the_log.level || level == PREFORK_LOG_ERROR;
}

static const char *
level_name(enum prefork_log_level level)
{
    static const char *const names[] = {"error", "warning", "notice", "info", "debug"};

    return (size_t)level < PF_COUNT(names) ? names[level] : "debug";
}

static void
add_time(struct pf_text *line)
{
    struct timespec now;
    struct tm tm;
    char text[32];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (!localtime_r(&now.tv_sec, &tm) || strftime(text, sizeof text, "%F %T", &tm) == 0)
        text[0] = '\0';
    pf_text_add(line, "%s.%03ld", text, now.tv_nsec / 1000000);
}

static void
add_printable(struct pf_text *line, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c == 0x7f)
            pf_text_add(line, "\\x%02X", c);
        else
            pf_text_add(line, "%c", c);
    }
}

static bool
write_line(const char *line, size_t length)
{
    struct pollfd sink = {.fd = the_log.fd, .events = POLLOUT};

    return poll(&sink, 1, 0) == 1 && (sink.revents & POLLOUT) &&
           write(the_log.fd, line, length) == (ssize_t)length;
}

static void
log_text(enum prefork_log_level level, const char *text)
{
    char buffer[LINE_BYTES];
    struct pf_text line;

    pf_text_init(&line, buffer, sizeof buffer - 1);
    add_time(&line);
    pf_text_add(&line, " %s[%d] %s: ", the_log.name, (int)getpid(), level_name(level));
    if (the_log.lost > 0)
        pf_text_add(&line, "(%lu lines lost) ", the_log.lost);
    add_printable(&line, text);
    buffer[line.length] = '\n';
    if (write_line(buffer, line.length + 1))
        the_log.lost = 0;
    else
        the_log.lost++;
}

void
pf_log_v(enum prefork_log_level level, const char *format, va_list args)
{
    char text[TEXT_BYTES];
    int errnum = errno;

    if (pf_log_wants(level)) {
        (void)vsnprintf(text, sizeof text, format, args); /* a long line is cut */
        log_text(level, text);
    }
    errno = errnum;
}

void
pf_log(enum prefork_log_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    pf_log_v(level, format, args);
    va_end(args);
}
