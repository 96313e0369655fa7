/* What tests of listeners share: a table, endpoints, a directory of their own. */
#ifndef PF_NET_LISTENER_TEST_H
#define PF_NET_LISTENER_TEST_H

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "net/listener.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct pf_listeners ls;
static struct pf_error error;
static char notes[1000];
static char directory[] = "/tmp/prefork-listener-XXXXXX";

static inline void
note(void *context, const char *text)
{
    size_t n = strlen(notes);

    assert_ptr_equal(context, &ls);
    (void)snprintf(notes + n, sizeof notes - n, "%s\n", text);
}

static inline struct pf_endpoint
tcp(const char *host, const char *port, unsigned ipv)
{
    struct pf_endpoint e = {.proto = PF_PROTO_TCP, .ipv = ipv, .backlog = 16};

    (void)snprintf(e.host, sizeof e.host, "%s", host);
    (void)snprintf(e.port, sizeof e.port, "%s", port);
    return e;
}

static inline struct pf_endpoint
udp(const char *host, const char *port, unsigned ipv)
{
    struct pf_endpoint e = tcp(host, port, ipv);

    e.proto = PF_PROTO_UDP;
    return e;
}

static inline struct pf_endpoint
unix_at(const char *name)
{
    struct pf_endpoint e = {.proto = PF_PROTO_UNIX,
                            .host = "*",
                            .backlog = 16,
                            .owner = (uid_t)-1,
                            .group = (gid_t)-1};

    (void)snprintf(e.port, sizeof e.port, "%s/%s", directory, name);
    return e;
}

static inline int
try_open(struct pf_endpoint e)
{
    memset(&error, 0, sizeof error);
    return pf_listeners_open(&ls, &e, note, &ls, &error);
}

static inline void
must_open(struct pf_endpoint e)
{
    if (try_open(e) != 0)
        fail_msg("not opened: %s", error.text);
}

static inline void
must_refuse(struct pf_endpoint e, int errnum, int exit_code, const char *sentence)
{
    unsigned before = ls.count;

    assert_int_equal(try_open(e), -errnum);
    if (!strstr(error.text, sentence))
        fail_msg("\"%s\" is not in \"%s\"", sentence, error.text);
    assert_int_equal(error.exit_code, exit_code);
    assert_int_equal(ls.count, before);
}

static inline const char *
port_of(unsigned i)
{
    static char text[16];

    (void)snprintf(text, sizeof text, "%u", pf_listener_port(&ls.table[i]));
    return text;
}

static inline bool
have_ipv6(void)
{
    const struct sockaddr_in6 loopback = {.sin6_family = AF_INET6,
                                          .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && bind(fd, (const void *)&loopback, sizeof loopback) == 0;

    if (fd >= 0)
        (void)close(fd);
    return yes;
}

static inline int
connect_to(const struct pf_listener *l)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    int fd = socket(l->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(getsockname(l->fd, (void *)&a, &n), 0);
    if (connect(fd, (void *)&a, n) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static inline int
lowest_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)close(fd);
    return fd;
}

static inline int
begin(void **state)
{
    (void)state;
    notes[0] = '\0';
    ls.count = 0;
    (void)strcpy(strrchr(directory, '-'), "-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

/* Everything must be gone: a test that leaves a path behind fails here. */
static inline int
end(void **state)
{
    (void)state;
    pf_listeners_shut(&ls);
    pf_listeners_close(&ls);
    return rmdir(directory);
}

#endif
