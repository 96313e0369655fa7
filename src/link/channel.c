/* The channel: sending and receiving single records.
 *
 * Neither side ever waits for the other. A worker that does not read its channel can at
 * most miss to be asked; the ladder of the shutdown does not depend on it. */
#include "link/channel.h"

#include "base/attr.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int
pf_channel_open(int *ret_master_end, int *ret_worker_end)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    *ret_master_end = ends[0];
    *ret_worker_end = ends[1];
    return 0;
}

int
pf_channel_send(int fd, enum pf_message_kind kind, int errnum)
{
    struct pf_message message = {.kind = kind, .errnum = errnum};
    ssize_t n;

    do
        n = send(fd, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

int
pf_channel_send_text(int fd, enum pf_message_kind kind, const char *text)
{
    char record[sizeof(struct pf_message) + PF_CHANNEL_TEXT_MAX];
    const struct pf_message message = {.kind = kind};
    size_t length = strlen(text);
    ssize_t n;

    if (length > PF_CHANNEL_TEXT_MAX)
        return -EMSGSIZE;
    memcpy(record, &message, sizeof message);
    memcpy(record + sizeof message, text, length);
    do
        n = send(fd, record, sizeof message + length, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

/* Room for one descriptor beside a message. */
union passage {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int
pf_channel_send_fd(int fd, enum pf_message_kind kind, int errnum, int passed)
{
    struct pf_message message = {.kind = kind, .errnum = errnum};
    struct iovec part = {.iov_base = &message, .iov_len = sizeof message};
    union passage passage = {.header = {.cmsg_len = CMSG_LEN(sizeof passed),
                                        .cmsg_level = SOL_SOCKET,
                                        .cmsg_type = SCM_RIGHTS}};
    struct msghdr parcel = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = passage.bytes,
                            .msg_controllen = sizeof passage.bytes};
    ssize_t n;

    memcpy(CMSG_DATA(&passage.header), &passed, sizeof passed);
    do
        n = sendmsg(fd, &parcel, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

static bool
is_known(const struct pf_message *message)
{
    return message->kind >= PF_MESSAGE_LEAVE && message->kind <= PF_MESSAGE_LAST;
}

static bool
has_text(const struct pf_message *message)
{
    return message->kind == PF_MESSAGE_STOP || message->kind == PF_MESSAGE_LINE;
}

static bool
is_line(const char *text, size_t length)
{
    return !memchr(text, '\0', length) && !memchr(text, '\n', length);
}

/* A record of the expected form; *text is terminated. */
static bool
is_sound(const struct pf_message *message, char *text, size_t length)
{
    if (!is_known(message) || length > (has_text(message) ? PF_CHANNEL_TEXT_MAX : 0))
        return false;
    text[length] = '\0';
    return is_line(text, length);
}

int
pf_channel_receive_text(int fd, struct pf_message *ret_message,
                        char text[PF_CHANNEL_TEXT_BYTES])
{
    struct pf_message message;
    struct iovec parts[] = {{&message, sizeof message}, {text, PF_CHANNEL_TEXT_MAX}};
    struct msghdr record = {.msg_iov = parts, .msg_iovlen = PF_COUNT(parts)};
    ssize_t n;

    do
        n = recvmsg(fd, &record, MSG_DONTWAIT | MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return -EPIPE;
    if (n < 0)
        return -errno;
    if (n < (ssize_t)sizeof message ||
        !is_sound(&message, text, (size_t)n - sizeof message))
        return -EBADMSG;
    *ret_message = message;
    return 0;
}

/* What the kernel said about a message of n bytes. */
static int
judge(ssize_t n, const struct pf_message *message)
{
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return -EPIPE;
    if (n < 0)
        return -errno;
    return n != (ssize_t)sizeof *message || !is_known(message) ? -EBADMSG : 0;
}

/* The kernel adds no more descriptors than there is room for, and closes the others. */
static int
take_passed(const union passage *passage, const struct msghdr *parcel)
{
    int passed = -1;

    if (parcel->msg_controllen >= CMSG_LEN(sizeof passed) &&
        passage->header.cmsg_level == SOL_SOCKET && passage->header.cmsg_type == SCM_RIGHTS)
        memcpy(&passed, CMSG_DATA(&passage->header), sizeof passed);
    return passed;
}

int
pf_channel_receive_fd(int fd, struct pf_message *ret_message, int *ret_passed)
{
    struct pf_message message;
    struct iovec part = {.iov_base = &message, .iov_len = sizeof message};
    union passage passage = {.header.cmsg_len = 0};
    struct msghdr parcel = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = passage.bytes,
                            .msg_controllen = sizeof passage.bytes};
    ssize_t n;
    int passed;
    int r;

    do
        n = recvmsg(fd, &parcel, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    r = judge(n, &message);
    passed = n < 0 ? -1 : take_passed(&passage, &parcel);
    if (r < 0) {
        if (passed >= 0)
            (void)close(passed);
        return r;
    }
    *ret_message = message;
    *ret_passed = passed;
    return 0;
}

void
pf_channel_hang_up(int fd)
{
    (void)shutdown(fd, SHUT_RD);
}
