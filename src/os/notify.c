/* The protocol of sd_notify(3), which is one datagram of lines for each message.
 *
 * The socket is connected at the start, so that what comes later works inside of chroot and
 * as another user too. Sending never waits: a manager that does not read is asked again
 * later, by whoever has something to say.
 *
 * Descriptors are stored for a later process of the service under a name, and come back as
 * LISTEN_FDS with LISTEN_FDNAMES. That they are polled (FDPOLL) is left at its default: a
 * receiver drops by itself what hangs up. */
#include "os/notify.h"

#include "os/fd.h"

#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    TEXT_BYTES = 320, /* a name has at most 255 */
    CONTROL_BYTES = CMSG_SPACE(PF_NOTIFY_FDS_MAX * sizeof(int)),
};

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
    return pf_notify_send_fds(fd, text, NULL, 0);
}

int
pf_notify_send_fds(int fd, const char *text, const int *fds, unsigned count)
{
    alignas(struct cmsghdr) char control[CONTROL_BYTES] = {0};
    struct iovec part = {.iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t n;

    if (count > PF_NOTIFY_FDS_MAX)
        return -EINVAL;
    memcpy(&part.iov_base, &text, sizeof text); /* it is only read */
    if (count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(count * sizeof *fds);
        *CMSG_FIRSTHDR(&message) =
            (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                             .cmsg_type = SCM_RIGHTS,
                             .cmsg_len = CMSG_LEN(count * sizeof *fds)};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), fds, count * sizeof *fds);
    }
    do
        n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

int
pf_notify_store(int fd, const char *name, const int *fds, unsigned count)
{
    char text[TEXT_BYTES];

    (void)snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s\n", name);
    return pf_notify_send_fds(fd, text, fds, count);
}

int
pf_notify_unstore(int fd, const char *name)
{
    char text[TEXT_BYTES];

    (void)snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s\n", name);
    return pf_notify_send(fd, text);
}

/* Whatever came along is ours now, however it came. */
static unsigned
take_fds(struct msghdr *message, int fds[PF_NOTIFY_FDS_MAX])
{
    unsigned count = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        size_t bytes = c->cmsg_len - CMSG_LEN(0);
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        memcpy(fds + count, CMSG_DATA(c), bytes);
        count += (unsigned)(bytes / sizeof *fds);
    }
    return count;
}

int
pf_notify_receive(int fd, char *text, size_t bytes, int fds[PF_NOTIFY_FDS_MAX],
                  unsigned *ret_count)
{
    alignas(struct cmsghdr) char control[CONTROL_BYTES];
    struct iovec part = {.iov_base = text, .iov_len = bytes - 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t n;

    do
        n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == 0)
        return -EPIPE;
    text[n] = '\0';
    *ret_count = take_fds(&message, fds);
    return 0;
}
