/* The protocol of sd_notify(3), which is one datagram of lines for each message.
 *
 * The socket is connected at the start, so that what comes later works inside of chroot and
 * as another user too. Sending never waits: a manager that does not read is asked again
 * later, by whoever has something to say. */
#include "os/notify.h"

#include "os/fd.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A path, or a name with @ for the null byte in front of it. */
static int
read_address(const char *text, struct sockaddr_un *address, socklen_t *ret_bytes)
{
    size_t length = strlen(text);

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((text[0] != '/' && text[0] != '@') || text[1] == '\0')
        return -EAFNOSUPPORT;
    if (length >= sizeof address->sun_path)
        return -ENAMETOOLONG;
    memcpy(address->sun_path, text, length);
    if (text[0] == '@')
        address->sun_path[0] = '\0';
    *ret_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return 0;
}

static int
connect_to(const char *text)
{
    struct sockaddr_un address;
    socklen_t bytes;
    int r = read_address(text, &address, &bytes);
    int fd;

    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, bytes) < 0) {
        r = -errno;
        pf_fd_close(&fd);
        return r;
    }
    return fd;
}

/* A number and nothing else; 0: there is none. */
static unsigned long long
number_of(const char *name)
{
    const char *text = getenv(name);
    unsigned long long number;
    char *end;

    if (!text || *text < '0' || *text > '9')
        return 0;
    errno = 0;
    number = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0 ? number : 0;
}

/* The manager sets it for its own child. */
static pf_time
read_watchdog(void)
{
    unsigned long long pid = number_of("WATCHDOG_PID");
    unsigned long long span = number_of("WATCHDOG_USEC");

    if (span == 0 || span >= (unsigned long long)PF_NEVER ||
        (getenv("WATCHDOG_PID") && pid != (unsigned long long)getpid()))
        return PF_NEVER;
    return (pf_time)span;
}

int
pf_notify_open(pf_time *ret_watchdog)
{
    const char *text = getenv("NOTIFY_SOCKET");
    int fd = text && text[0] != '\0' ? connect_to(text) : PF_NOTIFY_NOBODY;

    *ret_watchdog = fd >= 0 ? read_watchdog() : PF_NEVER;
    (void)unsetenv("NOTIFY_SOCKET"); /* fails only for names that are none */
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    return fd;
}

int
pf_notify_send(int fd, const char *text)
{
    ssize_t n;

    do
        n = send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}
