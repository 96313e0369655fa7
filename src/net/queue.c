/* How many connections and datagrams wait in the kernel.
 *
 * A TCP listener tells by TCP_INFO: on a listening socket tcpi_unacked is the length of the
 * queue. A unix listener has no such option; it is asked for by its inode with one
 * sock_diag(7) request, whose answer the kernel puts into the netlink socket before send(2)
 * returns. That is why a receive that does not wait is enough, and why nothing here can
 * block the master.
 *
 * A UDP socket tells the memory its queue takes (SO_MEMINFO) and the size of the first
 * datagram; what the kernel needs for one of that size makes a number of the two. It is
 * about right for datagrams of one size and never 0 while one waits. For unix datagrams
 * memory is charged to the sender, so that all there is to ask is whether one waits: it
 * counts as 1, and the pool grows by its spares at each look.
 *
 * The number is a hint for sizing the pool, so in a sum what cannot be asked (an old
 * kernel, a filter on system calls, no descriptor to spare) counts as 0. Of one socket it
 * is told, because whoever wants to close it must not take it for empty. A TCP or unix
 * socket that does not listen has no queue, and 0 is what there is. No socket is kept
 * between calls. */
#include "net/listener.h"
#include "os/fd.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct question {
    struct nlmsghdr header;
    struct unix_diag_req unix_socket;
};

enum {
    DATAGRAM_OVERHEAD = 768, /* bytes the kernel needs for a small datagram */
};

union answer {
    struct nlmsghdr header; /* aligned */
    char bytes[1024];
};

static int
ask_tcp(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return -errno;
    return info.tcpi_state == TCP_LISTEN ? (int)info.tcpi_unacked : 0;
}

/* Larger datagrams take about twice their size. */
static int
ask_udp(int fd)
{
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof memory;
    int first = 0;
    uint32_t each;

    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) < 0)
        return -errno;
    if (memory[SK_MEMINFO_RMEM_ALLOC] == 0)
        return 0;
    if (ioctl(fd, SIOCINQ, &first) < 0)
        return -errno;
    each = DATAGRAM_OVERHEAD + 2 * (uint32_t)first;
    return memory[SK_MEMINFO_RMEM_ALLOC] < each
               ? 1
               : (int)(memory[SK_MEMINFO_RMEM_ALLOC] / each);
}

static int
ask_unix_datagram(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = poll(&p, 1, 0);

    return n < 0 ? -errno : (p.revents & POLLIN) != 0;
}

static int
send_question(int netlink, ino_t inode)
{
    struct question q = {
        .header = {.nlmsg_len = sizeof q,
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST},
        .unix_socket = {.sdiag_family = AF_UNIX,
                        .udiag_states = ~0u,
                        .udiag_ino = (__u32)inode,
                        .udiag_show = UDIAG_SHOW_RQLEN,
                        .udiag_cookie = {~0u, ~0u}},
    };

    return send(netlink, &q, sizeof q, MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* The queue's length in an answer of so many bytes about this inode. */
static int
read_answer(union answer *a, size_t bytes, ino_t inode)
{
    const struct unix_diag_msg *message = NLMSG_DATA(&a->header);
    const size_t head = NLMSG_LENGTH(sizeof *message);
    struct unix_diag_rqlen length;

    if (bytes < head || a->header.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        a->header.nlmsg_len < head || a->header.nlmsg_len > bytes ||
        message->udiag_ino != (__u32)inode)
        return -EPROTO;
    if (message->udiag_state != TCP_LISTEN)
        return 0;
    for (size_t at = NLMSG_ALIGN(head);
         at + RTA_LENGTH(sizeof length) <= a->header.nlmsg_len;) {
        struct rtattr attribute;
        memcpy(&attribute, a->bytes + at, sizeof attribute);
        if (attribute.rta_type == UNIX_DIAG_RQLEN &&
            attribute.rta_len >= RTA_LENGTH(sizeof length)) {
            memcpy(&length, a->bytes + at + RTA_LENGTH(0), sizeof length);
            return (int)length.udiag_rqueue;
        }
        if (attribute.rta_len < sizeof attribute)
            break;
        at += RTA_ALIGN(attribute.rta_len);
    }
    return -EPROTO;
}

static int
ask_unix(int netlink, int fd)
{
    struct stat st;
    union answer a;
    ssize_t n;
    int r = fstat(fd, &st) < 0 ? -errno : send_question(netlink, st.st_ino);

    if (r < 0)
        return r;
    n = recv(netlink, &a, sizeof a, MSG_DONTWAIT);
    return n < 0 ? -errno : read_answer(&a, (size_t)n, st.st_ino);
}

static int
open_netlink(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);

    return fd < 0 ? -errno : fd;
}

/* *netlink is opened for the first that needs it. */
static int
ask(int *netlink, const struct pf_listener *l)
{
    if (l->proto == PF_PROTO_UDP)
        return ask_udp(l->fd);
    if (l->proto == PF_PROTO_UNIXDGRAM)
        return ask_unix_datagram(l->fd);
    if (l->family != AF_UNIX)
        return ask_tcp(l->fd);
    if (*netlink < 0)
        *netlink = open_netlink();
    return *netlink < 0 ? *netlink : ask_unix(*netlink, l->fd);
}

int
pf_listener_queued(const struct pf_listener *l)
{
    int netlink = -1;
    int queued = ask(&netlink, l);

    pf_fd_close(&netlink); /* it was only asked */
    return queued;
}

unsigned
pf_listeners_queued(const struct pf_listeners *ls)
{
    int netlink = -1;
    unsigned queued = 0;

    for (unsigned i = 0; i < ls->count; i++) {
        int n = ask(&netlink, &ls->table[i]);
        queued += n > 0 ? (unsigned)n : 0;
    }
    pf_fd_close(&netlink); /* it was only asked */
    return queued;
}
