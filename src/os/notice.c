/* The other side of sd_notify(3), for programs that this process has started.
 *
 * One socket for all of them, with an abstract name: it leaves no file behind, is found in
 * a changed root and by any user, and belongs to the network namespace. The kernel chooses
 * the name, so nobody can hold it already. Such a name keeps nobody out: anybody may send,
 * which is why the kernel is made to say who does (SCM_CREDENTIALS). Whose word counts is
 * for the caller to decide.
 *
 * The room for what comes along is that of the credentials and nothing else: descriptors
 * do not fit, and the kernel closes what does not fit. So a sender that waits until its
 * descriptor was closed (sd_notify_barrier(3)) waits until its message was read. */
#include "os/notice.h"

#include "os/fd.h"

#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    TEXT_BYTES = 4096,
    NAME_AT = offsetof(struct sockaddr_un, sun_path),
};

/* Bound to a family alone, a unix socket is given a name. */
static int
name_it(int fd)
{
    const struct sockaddr_un any = {.sun_family = AF_UNIX};
    const int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0 ||
        bind(fd, (const struct sockaddr *)&any, NAME_AT) < 0)
        return -errno;
    return 0;
}

int
pf_notice_open(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = fd < 0 ? -errno : name_it(fd);

    if (r < 0)
        pf_fd_close(&fd);
    return r < 0 ? r : fd;
}

int
pf_notice_name(int fd, char name[PF_NOTICE_NAME_BYTES])
{
    struct sockaddr_un address = {0};
    socklen_t bytes = sizeof address;
    size_t length;

    if (getsockname(fd, (struct sockaddr *)&address, &bytes) < 0)
        return -errno;
    length = bytes > NAME_AT ? bytes - NAME_AT : 0;
    if (length < 2 || length >= PF_NOTICE_NAME_BYTES || address.sun_path[0] != '\0')
        return -EAFNOSUPPORT;
    memcpy(name, address.sun_path, length);
    name[0] = '@';
    name[length] = '\0';
    return 0;
}

bool
pf_notice_says_ready(const char *bytes, size_t length)
{
    static const char ready[] = "READY=1";
    const char *end = bytes + strnlen(bytes, length); /* some send the null byte too */

    while (bytes < end) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
        const char *last = newline ? newline : end;
        if ((size_t)(last - bytes) == sizeof ready - 1 &&
            memcmp(bytes, ready, sizeof ready - 1) == 0)
            return true;
        bytes = newline ? newline + 1 : end;
    }
    return false;
}

/* 0: of nobody, or of somebody in another pid namespace. */
static pid_t
sender(struct msghdr *message)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(message);
    struct ucred who;

    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS ||
        c->cmsg_len < CMSG_LEN(sizeof who))
        return 0;
    memcpy(&who, CMSG_DATA(c), sizeof who);
    return who.pid;
}

int
pf_notice_receive(int fd, struct pf_notice *ret_notice)
{
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
    char text[TEXT_BYTES];
    struct iovec part = {.iov_base = text, .iov_len = sizeof text};
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
    *ret_notice = (struct pf_notice){.pid = sender(&message)};
    if (ret_notice->pid <= 0 || (message.msg_flags & MSG_TRUNC))
        return -EBADMSG;
    ret_notice->group = getpgid(ret_notice->pid);
    ret_notice->ready = pf_notice_says_ready(text, (size_t)n);
    return 0;
}
