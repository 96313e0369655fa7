/* What the kernel says of sockets: of one, of all, and of those that are gone. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/address.h"
#include "base/attr.h"
#include "net/diag.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct fixture {
    int door;
    int here;
    int there;
    struct sockaddr_storage local;
    struct sockaddr_storage peer;
};

static struct sockaddr_storage
address_of(const char *ip, unsigned port)
{
    struct sockaddr_storage a = {.ss_family = AF_INET};
    struct sockaddr_in *v4 = (void *)&a;

    v4->sin_addr.s_addr = htonl(0x7f000000u + (unsigned)strtoul(ip, NULL, 10));
    v4->sin_port = htons((uint16_t)port);
    return a;
}

/* A client of 127.0.0.9 at the address 127.0.0.NUMBER of a listener for all of them. */
static void
open(struct fixture *f, const char *number)
{
    struct sockaddr_storage any = {.ss_family = AF_INET};
    struct sockaddr_storage from = address_of("9", 0);
    socklen_t bytes = sizeof any;
    unsigned port;

    f->door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->door, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(f->door, 4), 0);
    assert_int_equal(getsockname(f->door, (struct sockaddr *)&any, &bytes), 0);
    port = pf_address_port((struct sockaddr *)&any, sizeof any);
    f->local = address_of(number, port);
    f->there = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->there, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(f->there, (struct sockaddr *)&f->local, sizeof f->local), 0);
    bytes = sizeof f->peer;
    f->peer = (struct sockaddr_storage){0};
    f->here = accept(f->door, (struct sockaddr *)&f->peer, &bytes);
    assert_true(f->here >= 0);
    if (pf_diag_tcp(&f->local, &f->peer) == PF_DIAG_UNKNOWN)
        skip(); /* a filter on system calls, or no such kernel */
}

static void
leave(struct fixture *f)
{
    (void)close(f->there);
    f->there = -1;
}

static void
shut(struct fixture *f)
{
    (void)close(f->door);
    (void)close(f->here);
    (void)close(f->there);
}

static uint64_t
inode_of(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return st.st_ino;
}

static void
whose_end_it_was(void **state)
{
    struct fixture f;

    (void)state;
    open(&f, "1");
    assert_int_equal(pf_diag_tcp(&f.local, &f.peer), PF_DIAG_OPEN);
    (void)shutdown(f.here, SHUT_RD);
    assert_int_equal(pf_diag_tcp(&f.local, &f.peer), PF_DIAG_OPEN);
    leave(&f);
    assert_int_equal(pf_diag_tcp(&f.local, &f.peer), PF_DIAG_LEFT);
    (void)shutdown(f.here, SHUT_WR);
    assert_true(pf_diag_tcp(&f.local, &f.peer) != PF_DIAG_OURS);
    shut(&f);

    open(&f, "1");
    (void)shutdown(f.here, SHUT_RDWR);
    assert_int_equal(pf_diag_tcp(&f.local, &f.peer), PF_DIAG_OURS);
    leave(&f);
    assert_int_equal(pf_diag_tcp(&f.local, &f.peer), PF_DIAG_OURS);
    shut(&f);
}

static void
there_is_no_such_connection(void **state)
{
    struct fixture f;
    struct sockaddr_storage other;

    (void)state;
    open(&f, "1");
    other = address_of("77", 1);
    assert_int_equal(pf_diag_tcp(&f.local, &other), PF_DIAG_NOTHING);
    other = address_of("5", pf_address_port((struct sockaddr *)&f.local, sizeof f.local));
    assert_int_equal(pf_diag_tcp(&other, &f.peer), PF_DIAG_NOTHING);
    shut(&f);
}

static void
the_local_end_is_found(void **state)
{
    struct fixture f;
    struct sockaddr_storage found = {0};
    unsigned port;

    (void)state;
    open(&f, "33");
    port = pf_address_port((struct sockaddr *)&f.local, sizeof f.local);
    assert_int_equal(pf_diag_guess_local(port, &f.peer, &found), 0);
    assert_int_equal(pf_address_port((struct sockaddr *)&found, sizeof found), port);
    leave(&f);
    assert_int_equal(pf_diag_find_local(port, &f.peer, &found), PF_DIAG_LEFT);
    assert_true(pf_address_same((struct sockaddr *)&found, sizeof found,
                                (struct sockaddr *)&f.local, sizeof f.local));
    assert_int_equal(pf_diag_find_local(port + 1, &f.peer, &found), PF_DIAG_NOTHING);
    shut(&f);
}

struct search {
    uint64_t inode;
    unsigned seen;
    unsigned all;
    struct pf_diag_socket socket;
};

static bool
look_for(void *context, const struct pf_diag_socket *s)
{
    struct search *search = context;

    search->all++;
    if (s->inode == search->inode) {
        search->seen++;
        search->socket = *s;
    }
    return true;
}

static void
connections_without_a_client(void **state)
{
    struct fixture f;
    struct search search = {0};

    (void)state;
    open(&f, "1");
    search.inode = inode_of(f.here);
    assert_int_equal(pf_diag_each_left(AF_INET, look_for, &search), 0);
    assert_int_equal(search.seen, 0);
    leave(&f);
    assert_int_equal(pf_diag_each_left(AF_INET, look_for, &search), 0);
    assert_int_equal(search.seen, 1);
    assert_true(pf_address_same((struct sockaddr *)&search.socket.peer, sizeof f.peer,
                                (struct sockaddr *)&f.peer, sizeof f.peer));
    assert_int_equal(pf_diag_each_left(AF_INET6, look_for, &search), 0);
    assert_int_equal(search.seen, 1);
    shut(&f);
}

static void
connections_at_a_port(void **state)
{
    struct fixture f;
    struct search search = {0};
    struct sockaddr_storage here;
    socklen_t bytes = sizeof here;
    unsigned port;

    (void)state;
    open(&f, "1");
    search.inode = inode_of(f.here);
    assert_int_equal(getsockname(f.here, (struct sockaddr *)&here, &bytes), 0);
    port = pf_address_port((struct sockaddr *)&here, bytes);
    assert_int_equal(pf_diag_each_at(AF_INET, port, look_for, &search), 0);
    assert_int_equal(search.seen, 1);
    assert_int_equal(shutdown(f.here, SHUT_WR), 0);
    assert_int_equal(pf_diag_each_at(AF_INET, port, look_for, &search), 0);
    assert_int_equal(search.seen, 2);
    port = pf_address_port((struct sockaddr *)&f.peer, sizeof f.peer);
    assert_int_equal(pf_diag_each_at(AF_INET, port, look_for, &search), 0);
    assert_int_equal(search.seen, 2);
    shut(&f);
}

static void
open_unix(struct fixture *f, const struct sockaddr_un *name, socklen_t bytes)
{
    f->door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->door, (const struct sockaddr *)name, bytes), 0);
    assert_int_equal(listen(f->door, 4), 0);
    f->there = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(f->there, (const struct sockaddr *)name, bytes), 0);
    f->here = accept(f->door, NULL, NULL);
    assert_true(f->here >= 0);
}

/* The name is abstract, so that nothing is left behind; it is shown as an address is. */
static void
unix_sockets(void **state)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t bytes = offsetof(struct sockaddr_un, sun_path) + 20;
    struct search search = {0};
    struct pf_diag_socket s;
    char text[PF_ADDRESS_TEXT_BYTES];
    struct fixture f;

    (void)state;
    (void)snprintf(name.sun_path + 1, 20, "diag-test-%09d", (int)getpid());
    open_unix(&f, &name, bytes);
    pf_address_format((struct sockaddr *)&name, bytes, text, sizeof text);
    search.inode = inode_of(f.here);
    if (pf_diag_unix(search.inode, &s) < 0)
        skip();
    assert_string_equal(s.path, text);
    assert_false(s.left || s.half);
    (void)shutdown(f.there, SHUT_WR);
    assert_int_equal(pf_diag_unix(search.inode, &s), 0);
    assert_true(s.half && !s.left);
    (void)shutdown(f.here, SHUT_RDWR);
    assert_int_equal(pf_diag_unix(search.inode, &s), 0);
    assert_true(!s.half && !s.left);
    (void)close(f.there);
    f.there = -1;
    assert_int_equal(pf_diag_unix(search.inode, &s), 0);
    assert_true(s.left);
    assert_int_equal(pf_diag_each_unix(look_for, &search), 0);
    assert_int_equal(search.seen, 1);
    assert_true(search.socket.left && search.socket.cookie == s.cookie);
    assert_int_equal(pf_diag_unix(inode_of(f.door), &s), -ENOENT); /* connected to nobody */
    shut(&f);
}

/* An answer in many parts is read to its end. */
static void
hundreds_of_them(void **state)
{
    enum { PAIRS = 400 };
    static int ends[PAIRS][2];
    struct search search = {0};

    (void)state;
    for (unsigned i = 0; i < PAIRS; i++)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), 0);
    search.inode = inode_of(ends[PAIRS / 2][0]);
    if (pf_diag_each_unix(look_for, &search) < 0)
        skip();
    assert_int_equal(search.seen, 1);
    assert_true(search.all >= 2 * PAIRS);
    for (unsigned i = 0; i < PAIRS; i++) {
        (void)close(ends[i][0]);
        (void)close(ends[i][1]);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(whose_end_it_was),
        cmocka_unit_test(there_is_no_such_connection),
        cmocka_unit_test(the_local_end_is_found),
        cmocka_unit_test(connections_without_a_client),
        cmocka_unit_test(connections_at_a_port),
        cmocka_unit_test(unix_sockets),
        cmocka_unit_test(hundreds_of_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
