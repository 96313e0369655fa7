/* Requests: records on a socket, and who is at its other end.
 *
 * The records have one size each and a head that says what they are. They never leave the
 * machine, so numbers are as the machine has them. What is not exactly as it should be is
 * not taken: a length, an unknown kind, a bit that means nothing, a text that is no line.
 *
 * Unix sockets forget how a conversation ended if it was cut: whoever closes with something
 * unread resets the other side, which then gets an error instead of the last answer. So the
 * master shuts its ear first, empties it, and says its last word then. */
#include "link/request.h"

#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

enum {
    BACKLOG = 64,
    NAME_BYTES = 32,
};

/* ---- records ------------------------------------------------------------------------- */

/* Both kinds of records begin with this. A size that is not the expected one may be that of
 * a record of which no more than that is there. */
struct head {
    uint32_t magic;
    uint16_t version;
    uint16_t kind;
};

static int
parse_head(const void *bytes, size_t size, size_t expected, unsigned last)
{
    struct head head;

    if (size < sizeof head)
        return -EBADMSG;
    memcpy(&head, bytes, sizeof head);
    if (head.magic != PF_REQUEST_MAGIC)
        return -EBADMSG;
    if (head.version != PF_REQUEST_VERSION)
        return -EPROTONOSUPPORT;
    return size == expected && head.kind >= 1 && head.kind <= last ? 0 : -EBADMSG;
}

int
pf_request_parse(const void *bytes, size_t size, struct pf_request *ret_request)
{
    struct pf_request request;
    int r = parse_head(bytes, size, sizeof request, PF_REQUEST_LAST);

    if (r < 0)
        return r;
    memcpy(&request, bytes, sizeof request);
    if (request.wait > 1 || request.zero != 0)
        return -EBADMSG;
    *ret_request = request;
    return 0;
}

static bool
is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

static bool
is_line(const char *text, size_t capacity)
{
    size_t length = strnlen(text, capacity);

    for (size_t i = 0; i < length; i++) {
        if (is_control(text[i]))
            return false;
    }
    return length < capacity;
}

int
pf_answer_parse(const void *bytes, size_t size, struct pf_answer *ret_answer)
{
    struct pf_answer answer;
    int r = parse_head(bytes, size, sizeof answer, PF_ANSWER_LAST);

    if (r < 0)
        return r;
    memcpy(&answer, bytes, sizeof answer);
    if (!is_line(answer.text, sizeof answer.text))
        return -EBADMSG;
    *ret_answer = answer;
    return 0;
}

void
pf_answer_make(struct pf_answer *answer, enum pf_answer_kind kind, uint64_t number,
               const char *text)
{
    memset(answer, 0, sizeof *answer); /* no byte of the stack goes out */
    answer->magic = PF_REQUEST_MAGIC;
    answer->version = PF_REQUEST_VERSION;
    answer->kind = (uint16_t)kind;
    answer->number = number;
    for (size_t i = 0; text[i] != '\0' && i < sizeof answer->text - 1; i++)
        answer->text[i] = is_control(text[i]) ? ' ' : text[i];
}

/* ---- the socket ---------------------------------------------------------------------- */

/* An abstract name begins with a null byte and ends where its length says. */
static socklen_t
name_of(pid_t master, struct sockaddr_un *address)
{
    char name[NAME_BYTES];
    int length = snprintf(name, sizeof name, "prefork-control/%d", (int)master);

    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path + 1, name, (size_t)length);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

int
pf_request_listen(pid_t master)
{
    struct sockaddr_un address;
    socklen_t length = name_of(master, &address);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = 0;

    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, BACKLOG) < 0)
        r = -errno;
    if (r < 0)
        pf_fd_close(&fd);
    return r < 0 ? r : fd;
}

bool
pf_request_is_listener(int fd, pid_t master)
{
    struct sockaddr_un wanted;
    struct sockaddr_un found;
    socklen_t length = name_of(master, &wanted);
    socklen_t found_length = sizeof found;
    int listens = 0;
    socklen_t size = sizeof listens;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens &&
           getsockname(fd, (struct sockaddr *)&found, &found_length) == 0 &&
           found_length == length && memcmp(&found, &wanted, length) == 0;
}

int
pf_request_accept(int listener)
{
    int fd;

    do
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    return fd < 0 ? -errno : fd;
}

/* A connect(2) to a queue that is full waits as long as a send would. */
static int
limit_connect(int fd, pf_time deadline)
{
    pf_time left = deadline - pf_clock_now();
    struct timeval limit;

    if (deadline == PF_NEVER)
        return 0;
    if (left < PF_MILLISECOND)
        left = PF_MILLISECOND; /* 0 would mean without end */
    limit.tv_sec = left / PF_SECOND;
    limit.tv_usec = left % PF_SECOND;
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ? -errno : 0;
}

static int
connect_to(int fd, pid_t master, pf_time deadline)
{
    struct sockaddr_un address;
    socklen_t length = name_of(master, &address);
    int r = limit_connect(fd, deadline);

    if (r < 0)
        return r;
    while (connect(fd, (struct sockaddr *)&address, length) < 0) {
        if (errno != EINTR)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
    }
    return 0;
}

int
pf_request_connect(pid_t master, pf_time deadline)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int r;

    if (fd < 0)
        return -errno;
    r = connect_to(fd, master, deadline);
    if (r < 0)
        pf_fd_close(&fd);
    return r < 0 ? r : fd;
}

/* The number of a process that has died may be somebody else's by now, while a child of it
 * goes on listening. A kernel that gives out a descriptor of the process does so while it
 * lives; a newer one also afterwards, and then the descriptor tells. */
static int
check_peer_lives(int fd)
{
    struct pollfd end = {.fd = -1, .events = POLLIN};
    socklen_t size = sizeof end.fd;
    int n;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &end.fd, &size) < 0) {
        if (errno == ENOPROTOOPT)
            return 0;
        return errno == EINVAL ? -ESRCH : -errno;
    }
    n = poll(&end, 1, 0);
    pf_fd_close(&end.fd);
    return n > 0 ? -ESRCH : 0;
}

int
pf_request_peer(int fd, pid_t *ret_pid, uid_t *ret_uid)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    int r;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return -errno;
    r = peer.pid > 0 ? check_peer_lives(fd) : 0;
    if (r < 0)
        return r;
    *ret_pid = peer.pid;
    *ret_uid = peer.uid;
    return 0;
}

/* ---- sending and receiving ----------------------------------------------------------- */

static int
send_record(int fd, const void *record, size_t size)
{
    ssize_t n;

    do
        n = send(fd, record, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

int
pf_request_send(int fd, enum pf_request_kind kind, bool wait)
{
    const struct pf_request request = {.magic = PF_REQUEST_MAGIC,
                                       .version = PF_REQUEST_VERSION,
                                       .kind = (uint16_t)kind,
                                       .wait = wait};

    return send_record(fd, &request, sizeof request);
}

int
pf_answer_send(int fd, const struct pf_answer *answer)
{
    return send_record(fd, answer, sizeof *answer);
}

/* The first size bytes of a record, and the length that it had; or a negative errno. */
static int
receive_record(int fd, void *record, size_t size)
{
    ssize_t n;

    do
        n = recv(fd, record, size, MSG_DONTWAIT | MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return -EPIPE;
    return n < 0 ? -errno : (int)n;
}

int
pf_request_receive(int fd, struct pf_request *ret_request)
{
    struct pf_request record;
    int n = receive_record(fd, &record, sizeof record);

    return n < 0 ? n : pf_request_parse(&record, (size_t)n, ret_request);
}

static int
wait_for_record(int fd, pf_time deadline)
{
    struct pollfd ear = {.fd = fd, .events = POLLIN};
    int n;

    do
        n = poll(&ear, 1, pf_clock_milliseconds_until(deadline));
    while (n < 0 ? errno == EINTR : n == 0 && pf_clock_now() < deadline);
    return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

int
pf_answer_receive(int fd, pf_time deadline, struct pf_answer *ret_answer)
{
    struct pf_answer record;
    int n = wait_for_record(fd, deadline);

    if (n == 0)
        n = receive_record(fd, &record, sizeof record);
    return n < 0 ? n : pf_answer_parse(&record, (size_t)n, ret_answer);
}

void
pf_request_dismiss(int *fd, const struct pf_answer *answer)
{
    char unread;

    (void)shutdown(*fd, SHUT_RD); /* nothing can come any more */
    while (receive_record(*fd, &unread, sizeof unread) >= 0)
        continue;
    if (answer)
        (void)pf_answer_send(*fd, answer); /* or it is gone */
    pf_fd_close(fd);
}
