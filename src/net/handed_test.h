/* What tests of listeners that are handed over share: two tables, endpoints, clients, and a
 * directory of their own. Both masters are this process, and what is handed over is a copy
 * of each descriptor. */
#ifndef PF_NET_HANDED_TEST_H
#define PF_NET_HANDED_TEST_H

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "net/handed.h"
#include "net/socket.h"
#include <prefork/prefork.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct pf_listeners old, ls; /* of the master before, and of this one */
static struct pf_endpoint kept[PF_LISTENERS_MAX]; /* listeners borrow theirs */
static unsigned kept_count;
static struct pf_error error;
static char notes[1000];
#define LATER PF_HANDED_EMPTYING /* after a commit at 0 */
static char directory[] = "/tmp/prefork-handed-XXXXXX";

static inline void
note(void *context, const char *text)
{
    size_t n = strlen(notes);

    (void)context;
    (void)snprintf(notes + n, sizeof notes - n, "%s\n", text);
}

static inline struct pf_endpoint
at(enum pf_proto proto, const char *host, const char *port)
{
    struct pf_endpoint e = {.proto = proto,
                            .ipv = PF_IPV_ANY,
                            .backlog = 16,
                            .owner = (uid_t)-1,
                            .group = (gid_t)-1};

    (void)snprintf(e.host, sizeof e.host, "%s", host);
    (void)snprintf(e.port, sizeof e.port, "%s%s%s",
                   pf_proto_is_unix(proto) ? directory : "",
                   pf_proto_is_unix(proto) ? "/" : "", port);
    return e;
}

static inline struct pf_endpoint
tcp(const char *port)
{
    return at(PF_PROTO_TCP, "127.0.0.1", port);
}

static inline struct pf_endpoint
path(const char *name)
{
    return at(PF_PROTO_UNIX, "*", name);
}

static inline int
try_open(struct pf_listeners *where, struct pf_endpoint e)
{
    memset(&error, 0, sizeof error);
    kept[kept_count] = e;
    return pf_listeners_open(where, &kept[kept_count++], note, NULL, &error);
}

static inline void
must_open(struct pf_listeners *where, struct pf_endpoint e)
{
    if (try_open(where, e) != 0)
        fail_msg("not opened: %s", error.text);
}

/* The master before this one lets go of its descriptors, and not of its files. */
static inline void
hand_over(void)
{
    for (unsigned i = 0; i < old.count; i++) {
        struct pf_listener_handed h = pf_listener_describe(&old.table[i]);
        h.fd = dup(h.fd);
        if (pf_listeners_adopt(&ls, &h, &error) != 0)
            fail_msg("not adopted: %s", error.text);
    }
}

static inline const char *
port_of(const struct pf_listener *l)
{
    static char text[16];

    (void)snprintf(text, sizeof text, "%u", pf_listener_port(l));
    return text;
}

static inline ino_t
socket_of(const struct pf_listener *l)
{
    struct stat st;

    assert_int_equal(fstat(l->fd, &st), 0);
    return st.st_ino;
}

static inline bool
are_same(const struct pf_listener *a, const struct pf_listener *b)
{
    return socket_of(a) == socket_of(b);
}

static inline ino_t
file_at(const char *name)
{
    struct stat st;

    return lstat(name, &st) == 0 ? st.st_ino : 0;
}

static inline mode_t
mode_at(const char *name)
{
    struct stat st;

    assert_int_equal(lstat(name, &st), 0);
    return st.st_mode & 07777;
}

static inline unsigned
backlog_of(const struct pf_listener *l)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;

    assert_int_equal(getsockopt(l->fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    return info.tcpi_sacked;
}

/* A client that does not wait: on the loopback it is connected at once, or not at all. */
static inline int
client_of(const struct pf_listener *l)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    int fd = socket(l->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_int_equal(getsockname(l->fd, (void *)&a, &n), 0);
    (void)connect(fd, (void *)&a, n);
    return fd;
}

static inline int
client_at(const char *name, int type)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", name);
    if (connect(fd, (void *)&a, sizeof a) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static inline bool
has_ipv6(void)
{
    struct pf_listeners one = {0};
    struct pf_endpoint e = at(PF_PROTO_TCP, "::1", "0");
    bool yes = pf_listeners_open(&one, &e, NULL, NULL, NULL) == 0;

    pf_listeners_close(&one);
    return yes;
}

static inline int
begin(void **state)
{
    (void)state;
    memset(&ls, 0, sizeof ls);
    memset(&old, 0, sizeof old);
    memset(&error, 0, sizeof error);
    kept_count = 0;
    notes[0] = '\0';
    (void)strcpy(strrchr(directory, '-'), "-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

/* Whichever of them still had a file: a test that leaves one behind fails here. */
static inline int
end(void **state)
{
    (void)state;
    pf_listeners_shut(&ls);
    pf_listeners_shut(&old);
    pf_listeners_close(&ls);
    pf_listeners_close(&old);
    return rmdir(directory);
}

#endif
