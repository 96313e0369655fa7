/* sock_diag(7): questions by netlink, one socket for each.
 *
 * A question is about one socket, which the kernel finds by its hash, or about all, which
 * it walks through ("dump") and answers in parts: the first when the question is sent, each
 * further one when the one before is received. Either way an answer is there when it is
 * asked for, so a receive that does not wait is enough. A socket that lives no longer than
 * its question cannot hold the rest of an earlier answer.
 *
 * An IPv4 address inside an IPv6 one is asked for as IPv4, because that is where the kernel
 * looks; in a walk it is listed under the family of its socket. */
#include "net/diag.h"

#include "base/address.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum {
    PARTS_MAX = 256,  /* of an answer */
    SHUT_RECEIVE = 1, /* of UNIX_DIAG_SHUTDOWN */

    /* states of a TCP connection that somebody may hold */
    CONNECTED = 1 << TCP_ESTABLISHED | 1 << TCP_CLOSE_WAIT | 1 << TCP_LAST_ACK |
                1 << TCP_FIN_WAIT1 | 1 << TCP_FIN_WAIT2 | 1 << TCP_CLOSING,
};

struct tcp_question {
    struct nlmsghdr header;
    struct inet_diag_req_v2 body;
};

struct unix_question {
    struct nlmsghdr header;
    struct unix_diag_req body;
};

union part {
    struct nlmsghdr header; /* aligned */
    char bytes[16384];
};

/* Takes one message of an answer. False: that was all that is wanted. */
typedef bool take_message(void *context, const struct nlmsghdr *message);

static struct nlmsghdr
header_of(size_t bytes, bool all)
{
    return (struct nlmsghdr){
        .nlmsg_len = (uint32_t)bytes,
        .nlmsg_type = SOCK_DIAG_BY_FAMILY,
        .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | (all ? NLM_F_DUMP : 0)),
    };
}

/* NLMSG_DATA() would take its const away. */
static const void *
payload(const struct nlmsghdr *message)
{
    return (const char *)message + NLMSG_HDRLEN;
}

/* ---- question and answer ------------------------------------------------------------- */

/* 1: there may be more; 0: that was all; or a negative errno. */
static int
take_part(union part *part, size_t bytes, bool all, take_message *take, void *context)
{
    struct nlmsghdr *m = &part->header;

    for (unsigned left = (unsigned)bytes; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
        if (m->nlmsg_type == NLMSG_DONE)
            return 0;
        if (m->nlmsg_type == NLMSG_ERROR) {
            const struct nlmsgerr *error = payload(m);
            return m->nlmsg_len < NLMSG_LENGTH(sizeof *error) ? -EPROTO : error->error;
        }
        if (m->nlmsg_type == SOCK_DIAG_BY_FAMILY && !take(context, m))
            return 0;
    }
    return all;
}

static int
converse(int netlink, const struct nlmsghdr *question, take_message *take, void *context)
{
    bool all = (question->nlmsg_flags & NLM_F_DUMP) != 0;
    union part part;
    int r = 1;

    if (send(netlink, question, question->nlmsg_len, MSG_DONTWAIT) < 0)
        return -errno;
    for (unsigned n = 0; r > 0; n++) {
        ssize_t bytes;
        if (n == PARTS_MAX)
            return -E2BIG;
        bytes = recv(netlink, &part, sizeof part, MSG_DONTWAIT);
        if (bytes <= 0)
            return bytes == 0 ? -EPROTO : -errno;
        r = take_part(&part, (size_t)bytes, all, take, context);
    }
    return r;
}

static int
ask(const struct nlmsghdr *question, take_message *take, void *context)
{
    int netlink =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    int r;

    if (netlink < 0)
        return -errno;
    r = converse(netlink, question, take, context);
    (void)close(netlink);
    return r;
}

/* ---- TCP ----------------------------------------------------------------------------- */

static enum pf_diag_stand
stand_of(uint8_t state)
{
    switch (state) {
    case TCP_ESTABLISHED:
    case TCP_SYN_RECV: return PF_DIAG_OPEN;
    case TCP_CLOSE_WAIT:
    case TCP_LAST_ACK: return PF_DIAG_LEFT;
    case TCP_FIN_WAIT1:
    case TCP_FIN_WAIT2:
    case TCP_CLOSING:
    case TCP_TIME_WAIT: return PF_DIAG_OURS;
    default: return PF_DIAG_NOTHING; /* the listener was found instead */
    }
}

/* The bytes of an address as the kernel looks it up, and the family they are of. */
static uint8_t
put_address(__be32 words[4], const struct sockaddr_storage *address)
{
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;

    if (address->ss_family == AF_INET) {
        memcpy(words, &v4->sin_addr, sizeof v4->sin_addr);
        return AF_INET;
    }
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        memcpy(words, &v6->sin6_addr.s6_addr[12], sizeof v4->sin_addr);
        return AF_INET;
    }
    memcpy(words, &v6->sin6_addr, sizeof v6->sin6_addr);
    return AF_INET6;
}

static uint32_t
scope_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6
               ? ((const struct sockaddr_in6 *)address)->sin6_scope_id
               : 0;
}

static void
get_address(struct sockaddr_storage *address, uint8_t family, const __be32 words[4],
            uint16_t port)
{
    struct sockaddr_in *v4 = (void *)address;
    struct sockaddr_in6 *v6 = (void *)address;

    *address = (struct sockaddr_storage){.ss_family = family};
    if (family == AF_INET) {
        v4->sin_port = port;
        memcpy(&v4->sin_addr, words, sizeof v4->sin_addr);
    } else {
        v6->sin6_port = port;
        memcpy(&v6->sin6_addr, words, sizeof v6->sin6_addr);
    }
}

static uint16_t
port_of(const struct sockaddr_storage *address)
{
    return htons(
        (uint16_t)pf_address_port((const struct sockaddr *)address, sizeof *address));
}

static const struct inet_diag_msg *
tcp_message(const struct nlmsghdr *m)
{
    const struct inet_diag_msg *body = payload(m);

    return m->nlmsg_len < NLMSG_LENGTH(sizeof *body) ? NULL : body;
}

static bool
take_stand(void *context, const struct nlmsghdr *m)
{
    const struct inet_diag_msg *body = tcp_message(m);
    enum pf_diag_stand *stand = context;

    if (body)
        *stand = stand_of(body->idiag_state);
    return false;
}

enum pf_diag_stand
pf_diag_tcp(const struct sockaddr_storage *local, const struct sockaddr_storage *peer)
{
    struct tcp_question q = {
        .header = header_of(sizeof q, false),
        .body = {.sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = ~0u,
                 .id = {.idiag_sport = port_of(local),
                        .idiag_dport = port_of(peer),
                        .idiag_if = scope_of(peer),
                        .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
    };
    enum pf_diag_stand stand = PF_DIAG_UNKNOWN;
    int r;

    q.body.sdiag_family = put_address(q.body.id.idiag_src, local);
    if (put_address(q.body.id.idiag_dst, peer) != q.body.sdiag_family)
        return PF_DIAG_NOTHING;
    r = ask(&q.header, take_stand, &stand);
    return r == -ENOENT ? PF_DIAG_NOTHING : stand;
}

/* Connecting a socket for datagrams sends nothing: it only chooses the way. */
int
pf_diag_guess_local(unsigned port, const struct sockaddr_storage *peer,
                    struct sockaddr_storage *ret_local)
{
    struct sockaddr_storage local = {0};
    socklen_t bytes = sizeof local;
    int fd = socket(peer->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = fd < 0 ? -errno : 0;

    if (r == 0 && (connect(fd, (const struct sockaddr *)peer, sizeof *peer) < 0 ||
                   getsockname(fd, (struct sockaddr *)&local, &bytes) < 0))
        r = -errno;
    if (fd >= 0)
        (void)close(fd);
    if (r < 0)
        return r;
    pf_address_set_port((struct sockaddr *)&local, port);
    *ret_local = local;
    return 0;
}

struct search {
    const struct sockaddr_storage *peer;
    struct sockaddr_storage *ret_local;
    enum pf_diag_stand stand;
};

static bool
take_local(void *context, const struct nlmsghdr *m)
{
    const struct inet_diag_msg *body = tcp_message(m);
    struct search *s = context;
    struct sockaddr_storage peer;
    const socklen_t bytes = sizeof peer;

    if (!body || body->idiag_family != s->peer->ss_family)
        return true;
    get_address(&peer, body->idiag_family, body->id.idiag_dst, body->id.idiag_dport);
    if (peer.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&peer)->sin6_scope_id = scope_of(s->peer);
    if (!pf_address_same((struct sockaddr *)&peer, bytes, (const struct sockaddr *)s->peer,
                         bytes))
        return true;
    get_address(s->ret_local, body->idiag_family, body->id.idiag_src, body->id.idiag_sport);
    s->stand = stand_of(body->idiag_state);
    return false;
}

enum pf_diag_stand
pf_diag_find_local(unsigned port, const struct sockaddr_storage *peer,
                   struct sockaddr_storage *ret_local)
{
    struct tcp_question q = {
        .header = header_of(sizeof q, true),
        .body = {.sdiag_family = (uint8_t)peer->ss_family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = CONNECTED,
                 .id = {.idiag_sport = htons((uint16_t)port),
                        .idiag_dport = port_of(peer)}},
    };
    struct search search = {peer, ret_local, PF_DIAG_NOTHING};

    return ask(&q.header, take_local, &search) < 0 ? PF_DIAG_UNKNOWN : search.stand;
}

struct walk {
    pf_diag_found *found;
    void *context;
};

static bool
take_held(void *context, const struct nlmsghdr *m)
{
    const struct walk *walk = context;
    const struct inet_diag_msg *body = tcp_message(m);
    struct pf_diag_socket s = {0};

    if (!body || body->idiag_inode == 0) /* nobody holds it any more */
        return true;
    s.left = body->idiag_state == TCP_CLOSE_WAIT;
    s.inode = body->idiag_inode;
    s.cookie = (uint64_t)body->id.idiag_cookie[1] << 32 | body->id.idiag_cookie[0];
    get_address(&s.local, body->idiag_family, body->id.idiag_src, body->id.idiag_sport);
    get_address(&s.peer, body->idiag_family, body->id.idiag_dst, body->id.idiag_dport);
    return walk->found(walk->context, &s);
}

static int
walk_tcp(int family, unsigned port, uint32_t states, pf_diag_found *found, void *context)
{
    const struct tcp_question q = {
        .header = header_of(sizeof q, true),
        .body = {.sdiag_family = (uint8_t)family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = states,
                 .id = {.idiag_sport = htons((uint16_t)port)}},
    };
    struct walk walk = {found, context};

    return ask(&q.header, take_held, &walk);
}

int
pf_diag_each_left(int family, pf_diag_found *found, void *context)
{
    return walk_tcp(family, 0, 1u << TCP_CLOSE_WAIT, found, context);
}

int
pf_diag_each_at(int family, unsigned port, pf_diag_found *found, void *context)
{
    return walk_tcp(family, port, CONNECTED, found, context);
}

/* ---- unix sockets -------------------------------------------------------------------- */

static void
read_path(struct pf_diag_socket *s, const char *name, size_t bytes)
{
    if (bytes >= sizeof s->path)
        bytes = sizeof s->path - 1;
    memcpy(s->path, name, bytes);
    s->path[bytes] = '\0';
    for (size_t i = 0; bytes > 0 && name[0] == '\0' && i < bytes; i++) {
        if (s->path[i] == '\0')
            s->path[i] = '@'; /* as pf_address_format() shows it */
    }
}

/* An end that was closed has no inode any more, although the kernel still knows it. */
static void
read_attribute(struct pf_diag_socket *s, unsigned type, const char *bytes, size_t size)
{
    uint32_t peer = 0;
    uint8_t shut = 0;

    if (type == UNIX_DIAG_NAME)
        read_path(s, bytes, size);
    if (type == UNIX_DIAG_PEER && size >= sizeof peer) {
        memcpy(&peer, bytes, sizeof peer);
        s->left = peer == 0;
    }
    if (type == UNIX_DIAG_SHUTDOWN && size >= sizeof shut) {
        memcpy(&shut, bytes, sizeof shut);
        s->half = shut == SHUT_RECEIVE;
    }
}

/* False: it is no connected socket. */
static bool
read_unix(const struct nlmsghdr *m, struct pf_diag_socket *s)
{
    const struct unix_diag_msg *body = payload(m);
    const char *bytes = (const char *)m;
    size_t at = NLMSG_ALIGN(NLMSG_LENGTH(sizeof *body));

    if (m->nlmsg_len < NLMSG_LENGTH(sizeof *body) || body->udiag_state != TCP_ESTABLISHED)
        return false;
    *s = (struct pf_diag_socket){
        .inode = body->udiag_ino,
        .cookie = (uint64_t)body->udiag_cookie[1] << 32 | body->udiag_cookie[0],
        .left = true, /* unless another end is told of */
    };
    while (at + sizeof(struct rtattr) <= m->nlmsg_len) {
        struct rtattr a;
        memcpy(&a, bytes + at, sizeof a);
        if (a.rta_len < RTA_LENGTH(0) || at + a.rta_len > m->nlmsg_len)
            break;
        read_attribute(s, a.rta_type, bytes + at + RTA_LENGTH(0),
                       a.rta_len - RTA_LENGTH(0));
        at += RTA_ALIGN(a.rta_len);
    }
    return s->inode != 0;
}

static struct unix_question
unix_question(uint64_t inode, bool all)
{
    return (struct unix_question){
        .header = header_of(sizeof(struct unix_question), all),
        .body = {.sdiag_family = AF_UNIX,
                 .udiag_states = 1u << TCP_ESTABLISHED,
                 .udiag_ino = (uint32_t)inode,
                 .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER,
                 .udiag_cookie = {~0u, ~0u}},
    };
}

static bool
take_unix(void *context, const struct nlmsghdr *m)
{
    const struct walk *walk = context;
    struct pf_diag_socket s;

    return !read_unix(m, &s) || walk->found(walk->context, &s);
}

int
pf_diag_each_unix(pf_diag_found *found, void *context)
{
    const struct unix_question q = unix_question(0, true);
    struct walk walk = {found, context};

    return ask(&q.header, take_unix, &walk);
}

static bool
keep(void *context, const struct pf_diag_socket *s)
{
    *(struct pf_diag_socket *)context = *s;
    return false;
}

int
pf_diag_unix(uint64_t inode, struct pf_diag_socket *ret_socket)
{
    const struct unix_question q = unix_question(inode, false);
    struct pf_diag_socket s = {.inode = 0};
    struct walk walk = {keep, &s};
    int r = ask(&q.header, take_unix, &walk);

    if (r == 0 && s.inode == 0)
        r = -ENOENT;
    if (r == 0)
        *ret_socket = s;
    return r;
}
