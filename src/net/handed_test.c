/* Sockets on the loopback and in a directory of their own, from one master to the next:
 * both are this process, and what is handed over is a copy of each descriptor. */

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
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pf_listeners old, ls; /* of the master before, and of this one */
static struct pf_endpoint kept[PF_LISTENERS_MAX]; /* listeners borrow theirs */
static unsigned kept_count;
static struct pf_error error;
static char notes[1000];
#define LATER PF_HANDED_EMPTYING /* after a commit at 0 */
static char directory[] = "/tmp/prefork-handed-XXXXXX";

/* ---- helpers --------------------------------------------------------------------------
 */

static void
note(void *context, const char *text)
{
    size_t n = strlen(notes);

    (void)context;
    (void)snprintf(notes + n, sizeof notes - n, "%s\n", text);
}

static struct pf_endpoint
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

static struct pf_endpoint
tcp(const char *port)
{
    return at(PF_PROTO_TCP, "127.0.0.1", port);
}

static struct pf_endpoint
path(const char *name)
{
    return at(PF_PROTO_UNIX, "*", name);
}

static int
try_open(struct pf_listeners *where, struct pf_endpoint e)
{
    memset(&error, 0, sizeof error);
    kept[kept_count] = e;
    return pf_listeners_open(where, &kept[kept_count++], note, NULL, &error);
}

static void
must_open(struct pf_listeners *where, struct pf_endpoint e)
{
    if (try_open(where, e) != 0)
        fail_msg("not opened: %s", error.text);
}

/* The master before this one lets go of its descriptors, and not of its files. */
static void
hand_over(void)
{
    for (unsigned i = 0; i < old.count; i++) {
        struct pf_listener_handed h = pf_listener_describe(&old.table[i]);
        h.fd = dup(h.fd);
        if (pf_listeners_adopt(&ls, &h, &error) != 0)
            fail_msg("not adopted: %s", error.text);
    }
}

static const char *
port_of(const struct pf_listener *l)
{
    static char text[16];

    (void)snprintf(text, sizeof text, "%u", pf_listener_port(l));
    return text;
}

static ino_t
socket_of(const struct pf_listener *l)
{
    struct stat st;

    assert_int_equal(fstat(l->fd, &st), 0);
    return st.st_ino;
}

static bool
are_same(const struct pf_listener *a, const struct pf_listener *b)
{
    return socket_of(a) == socket_of(b);
}

static ino_t
file_at(const char *name)
{
    struct stat st;

    return lstat(name, &st) == 0 ? st.st_ino : 0;
}

static mode_t
mode_at(const char *name)
{
    struct stat st;

    assert_int_equal(lstat(name, &st), 0);
    return st.st_mode & 07777;
}

static bool
listens(const struct pf_listener *l)
{
    int value = -1;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(l->fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size), 0);
    return value;
}

static unsigned
backlog_of(const struct pf_listener *l)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;

    assert_int_equal(getsockopt(l->fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    return info.tcpi_sacked;
}

/* A client that does not wait: on the loopback it is connected at once, or not at all. */
static int
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

static int
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

static bool
has_ipv6(void)
{
    struct pf_listeners one = {0};
    struct pf_endpoint e = at(PF_PROTO_TCP, "::1", "0");
    bool yes = pf_listeners_open(&one, &e, NULL, NULL, NULL) == 0;

    pf_listeners_close(&one);
    return yes;
}

static int
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
static int
end(void **state)
{
    (void)state;
    pf_listeners_shut(&ls);
    pf_listeners_shut(&old);
    pf_listeners_close(&ls);
    pf_listeners_close(&old);
    return rmdir(directory);
}

/* ---- taking over ----------------------------------------------------------------------
 */

static void
keeps_what_is_asked_for(void **state)
{
    struct pf_endpoint e = tcp("0");

    (void)state;
    must_open(&old, tcp("0"));
    must_open(&old, path("x"));
    must_open(&old, at(PF_PROTO_UDP, "127.0.0.1", "0"));
    hand_over();
    assert_int_equal(ls.count, 0);
    assert_int_equal(ls.handed_count, 3);
    assert_true(fcntl(ls.handed[0].fd, F_GETFD) & FD_CLOEXEC);
    must_open(&ls, path("x")); /* the order of the settings */
    (void)snprintf(e.port, sizeof e.port, "%s", port_of(&old.table[0]));
    e.proto = PF_PROTO_SSL;
    must_open(&ls, e);
    assert_int_equal(ls.count, 2);
    assert_int_equal(ls.handed_count, 1);
    assert_true(are_same(&ls.table[0], &old.table[1]));
    assert_true(are_same(&ls.table[1], &old.table[0]));
    assert_int_equal(ls.table[1].proto, PF_PROTO_SSL);
    assert_ptr_equal(ls.table[1].endpoint, &kept[kept_count - 1]);
    assert_int_equal(ls.table[1].id, old.table[0].id);
    assert_ptr_equal(pf_listener_find(&ls, old.table[1].id), &ls.table[0]);
    assert_ptr_equal(pf_listener_find(&ls, old.table[2].id), &ls.handed[0]);
    must_open(&ls, tcp("0"));
    assert_int_equal(ls.table[2].id, 3);
}

static void
keeps_what_came_from_outside(void **state)
{
    (void)state;
    must_open(&old, tcp("0"));
    old.table[0].inherited = true;
    hand_over();
    assert_int_equal(ls.count, 1);
    assert_true(pf_listeners_are_inherited(&ls));
    pf_listeners_commit(&ls, 0, note, NULL);
    assert_int_equal(pf_listeners_retire(&ls, LATER, true), 0);
    assert_int_equal(ls.count, 1);
    old.table[0].inherited = false;
}

/* The manager opened it, and kept a copy of ours. */
static void
takes_a_twin_for_the_same(void **state)
{
    struct pf_listener own;

    (void)state;
    must_open(&old, tcp("0"));
    must_open(&old, tcp("0"));
    old.table[1].inherited = true;
    own = (struct pf_listener){.fd = dup(old.table[1].fd), .inherited = true};
    assert_int_equal(pf_listener_learn(&own), 0);
    assert_true(pf_listeners_add(&ls, &own));
    hand_over();
    assert_int_equal(ls.count, 1);
    assert_int_equal(ls.table[0].fd, own.fd);
    assert_int_equal(ls.table[0].id, old.table[1].id);
    assert_int_equal(ls.handed_count, 1);
    assert_int_equal(ls.handed[0].id, 0);
    old.table[1].inherited = false;
}

/* Numbers of sockets that were handed over stay, since lines of workers have them. */
static void
gives_way_to_a_number(void **state)
{
    struct pf_listener own = {.inherited = true};

    (void)state;
    must_open(&old, tcp("0"));
    must_open(&old, tcp("0"));
    own.fd = dup(STDERR_FILENO);
    assert_true(pf_listeners_add(&ls, &own));
    assert_true(pf_listeners_add(&ls, &(struct pf_listener){.fd = -1, .inherited = true}));
    hand_over();
    assert_int_equal(ls.handed[0].id, 0);
    assert_int_equal(ls.handed[1].id, 1);
    assert_int_equal(ls.table[0].id, 2);
    assert_int_equal(ls.table[1].id, 3);
}

static void
keeps_numbers_the_kernel_chose(void **state)
{
    (void)state;
    must_open(&old, tcp("0"));
    must_open(&old, at(PF_PROTO_TCP, "127.0.0.2", "0"));
    must_open(&old, tcp("0"));
    hand_over();
    must_open(&ls, tcp("0"));
    must_open(&ls, tcp("0"));
    must_open(&ls, tcp("0"));
    must_open(&ls, at(PF_PROTO_TCP, "127.0.0.2", "0"));
    assert_true(are_same(&ls.table[0], &old.table[0]));
    assert_true(are_same(&ls.table[1], &old.table[2]));
    assert_int_equal(ls.table[2].before.place, 0);
    assert_true(are_same(&ls.table[3], &old.table[1]));
}

/* A number that somebody chose does not answer a 0, and the other way round it does. */
static void
tells_a_choice_from_a_number(void **state)
{
    (void)state;
    must_open(&old, tcp("0"));
    old.table[0].any_port = false;
    hand_over();
    must_open(&ls, tcp("0"));
    assert_false(are_same(&ls.table[0], &old.table[0]));
    assert_true(ls.table[0].any_port);
    must_open(&ls, tcp(port_of(&old.table[0])));
    assert_true(are_same(&ls.table[1], &old.table[0]));
    assert_false(ls.table[1].any_port);
}

static void
refuses_what_is_not_what_it_says(void **state)
{
    struct pf_listener_handed h;

    (void)state;
    must_open(&old, tcp("0"));
    h = pf_listener_describe(&old.table[0]);
    h.proto = PF_PROTO_UDP;
    assert_int_equal(pf_listeners_adopt(&ls, &h, &error), -EPROTOTYPE);
    assert_non_null(strstr(error.text, "handed over: descriptor"));
    assert_non_null(strstr(error.text, "is not for udp"));
    memset(&error, 0, sizeof error);
    h = pf_listener_describe(&old.table[0]);
    h.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pf_listeners_adopt(&ls, &h, &error), -EINVAL);
    assert_non_null(strstr(error.text, "is not a socket"));
    (void)close(h.fd);
    assert_int_equal(ls.count + ls.handed_count, 0);
}

/* ---- other addresses ------------------------------------------------------------------
 */

/* All addresses in place of one, and the other way round, while the old one is there. */
static void
opens_beside_what_is_in_the_way(void **state)
{
    static const enum pf_proto protos[] = {PF_PROTO_TCP, PF_PROTO_UDP};

    (void)state;
    for (unsigned i = 0; i < PF_COUNT(protos); i++) {
        struct pf_endpoint e = at(protos[i], i == 0 ? "127.0.0.1" : "0.0.0.0", "0");
        must_open(&old, e);
        hand_over();
        e = at(protos[i], i == 0 ? "0.0.0.0" : "127.0.0.1", port_of(&old.table[0]));
        must_open(&ls, e);
        assert_true(ls.table[0].beside);
        assert_int_equal(pf_listener_port(&ls.table[0]), pf_listener_port(&old.table[0]));
        assert_false(pf_socket_is_shared(ls.table[0].fd));
        assert_false(pf_socket_is_shared(old.table[0].fd));
        pf_listeners_commit(&ls, 0, note, NULL);
        assert_int_equal(pf_listeners_retire(&ls, LATER, true), 0);
        pf_listeners_close(&ls);
        pf_listeners_close(&old);
        assert_string_equal(notes, "");
    }
}

static void
opens_both_versions_in_place_of_one(void **state)
{
    struct pf_endpoint e = at(PF_PROTO_TCP, "*", "0");

    (void)state;
    if (!has_ipv6())
        skip();
    e.ipv = PF_IPV_6;
    must_open(&old, e);
    hand_over();
    must_open(&ls, at(PF_PROTO_TCP, "*", port_of(&old.table[0])));
    assert_int_equal(ls.count, 1);
    assert_false(ls.table[0].v6only);
    assert_false(are_same(&ls.table[0], &old.table[0]));
    assert_int_equal(ls.handed_count, 1);
}

/* What a start refuses, a reload refuses. */
static void
refuses_endpoints_that_are_in_the_way(void **state)
{
    (void)state;
    must_open(&old, tcp("0"));
    hand_over();
    must_open(&ls, at(PF_PROTO_TCP, "0.0.0.0", port_of(&old.table[0])));
    assert_int_equal(try_open(&ls, tcp(port_of(&old.table[0]))), -EADDRINUSE);
    assert_non_null(strstr(error.text, "this server already listens on 0.0.0.0:"));
    assert_int_equal(ls.count, 1);
    assert_int_equal(ls.handed_count, 1);
}

static void
adds_and_drops_shards(void **state)
{
    struct pf_endpoint e = tcp("0");

    (void)state;
    must_open(&old, e);
    hand_over();
    e.shards = 3;
    must_open(&ls, e);
    assert_int_equal(ls.count, 3);
    assert_true(are_same(&ls.table[0], &old.table[0]));
    assert_true(pf_socket_is_shared(old.table[0].fd));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ls.table[i].shard, i);
        assert_int_equal(pf_listener_port(&ls.table[i]), pf_listener_port(&old.table[0]));
    }
    assert_false(listens(&ls.table[1])); /* or it would be sent clients */
    assert_false(listens(&ls.table[2]));
    pf_listeners_commit(&ls, 0, note, NULL);
    assert_true(pf_socket_is_shared(old.table[0].fd));
    assert_true(listens(&ls.table[1]) && listens(&ls.table[2]));

    pf_listeners_close(&old);
    old = ls;
    memset(&ls, 0, sizeof ls);
    hand_over();
    e.shards = 2;
    must_open(&ls, e);
    assert_int_equal(ls.count, 2);
    assert_int_equal(ls.handed_count, 1);
    assert_int_equal(ls.handed[0].shard, 2);
}

/* ---- settings -------------------------------------------------------------------------
 */

static void
changes_options_at_the_commit(void **state)
{
    struct pf_endpoint e = tcp("0");
    struct pf_endpoint u = at(PF_PROTO_UDP, "127.0.0.1", "0");
    int value = -1;
    socklen_t size = sizeof value;

    (void)state;
    must_open(&old, e);
    must_open(&old, u);
    hand_over();
    e.backlog = 3;
    u.broadcast = true;
    must_open(&ls, e);
    must_open(&ls, u);
    assert_int_equal(backlog_of(&old.table[0]), 16);
    pf_listeners_commit(&ls, 0, note, NULL);
    assert_int_equal(backlog_of(&old.table[0]), 3);
    assert_int_equal(getsockopt(old.table[1].fd, SOL_SOCKET, SO_BROADCAST, &value, &size),
                     0);
    assert_int_equal(value, 1);
    assert_string_equal(notes, "");
}

static void
changes_mode_and_owner_at_the_commit(void **state)
{
    struct pf_endpoint e = path("x");
    struct stat st;

    (void)state;
    e.has_mode = true;
    e.mode = 0600;
    must_open(&old, e);
    hand_over();
    e.mode = 0666;
    if (geteuid() == 0)
        e.group = 2345;
    must_open(&ls, e);
    assert_true(are_same(&ls.table[0], &old.table[0]));
    assert_int_equal(mode_at(e.port), 0600);
    pf_listeners_commit(&ls, 0, note, NULL);
    assert_int_equal(mode_at(e.port), 0666);
    assert_int_equal(lstat(e.port, &st), 0);
    assert_true(e.group == (gid_t)-1 || st.st_gid == e.group);
    assert_string_equal(notes, "");
}

/* Said before the commit, when there is a way back. */
static void
refuses_rights_it_cannot_give(void **state)
{
    struct pf_endpoint e = path("x");
    int child_status;
    pid_t child;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(directory, 0755), 0);
    must_open(&old, e);
    hand_over();
    e.has_mode = true;
    e.mode = 0600;
    child = fork();
    if (child == 0)
        _exit(setresuid(1234, 1234, 1234) == 0 && try_open(&ls, e) == -EPERM &&
                      strstr(error.text, "cannot be changed by the user") && ls.count == 0
                  ? 0
                  : 1);
    assert_int_equal(waitpid(child, &child_status, 0), child);
    assert_int_equal(child_status, 0);
}

/* ---- paths ----------------------------------------------------------------------------
 */

static void
takes_over_a_path_with_another_type(void **state)
{
    struct pf_endpoint e = path("x");
    char name[PF_LISTENER_TEXT_BYTES];
    ino_t file;
    int client;

    (void)state;
    must_open(&old, e);
    file = file_at(e.port);
    hand_over();
    e.proto = PF_PROTO_UNIXDGRAM;
    must_open(&ls, e);
    assert_int_equal(ls.handed_count, 1);
    assert_string_equal(ls.table[0].address, e.port);
    assert_int_equal(file_at(e.port), file); /* in service until the commit */
    pf_listeners_commit(&ls, 0, note, NULL);
    assert_string_equal(notes, "");
    assert_int_equal(file_at(e.port), ls.table[0].file.ino);
    assert_int_equal(client_at(e.port, SOCK_STREAM), -1);
    client = client_at(e.port, SOCK_DGRAM);
    assert_true(client >= 0);
    (void)close(client);
    assert_int_equal(pf_listeners_retire(&ls, LATER, false), 0);
    assert_int_equal(file_at(e.port), ls.table[0].file.ino);

    pf_listeners_close(&old); /* the name it was bound to is not its path any more */
    old = ls;
    memset(&ls, 0, sizeof ls);
    hand_over();
    must_open(&ls, e);
    assert_true(are_same(&ls.table[0], &old.table[0]));
    assert_string_equal(ls.table[0].address, e.port);
    pf_listener_name(&ls.table[0], name, sizeof name);
    assert_string_equal(name, path("x.new").port);
}

static void
gives_a_staged_path_back(void **state)
{
    struct pf_endpoint e = path("x");
    ino_t file;

    (void)state;
    must_open(&old, e);
    file = file_at(e.port);
    hand_over();
    e.proto = PF_PROTO_UNIXDGRAM;
    must_open(&ls, e);
    pf_listeners_give_back(&ls);
    assert_int_equal(ls.count, 1);
    assert_true(are_same(&ls.table[0], &old.table[0]));
    pf_listeners_shut(&ls); /* as any end of a master does */
    assert_int_equal(file_at(e.port), file);
    assert_int_equal(file_at(path("x.new").port), 0);
}

/* Somebody removed the file: clients find the socket no more, so it is not what is asked
 * for. */
static void
makes_a_path_again(void **state)
{
    struct pf_endpoint e = path("x");

    (void)state;
    must_open(&old, e);
    assert_int_equal(unlink(e.port), 0);
    hand_over();
    must_open(&ls, e);
    assert_false(are_same(&ls.table[0], &old.table[0]));
    assert_int_equal(file_at(e.port), ls.table[0].file.ino);
    pf_listeners_commit(&ls, 0, note, NULL);
    assert_int_equal(pf_listeners_retire(&ls, LATER, true), 0);
    assert_int_equal(file_at(e.port), ls.table[0].file.ino);
}

static void
leaves_a_path_to_who_has_it_now(void **state)
{
    struct pf_endpoint e = path("x");
    struct pf_listeners other = {0};

    (void)state;
    must_open(&old, e);
    assert_int_equal(unlink(e.port), 0);
    must_open(&other, e);
    hand_over();
    assert_int_equal(try_open(&ls, e), -EADDRINUSE);
    assert_non_null(strstr(error.text, "in use by another process"));
    pf_listeners_shut(&ls);
    assert_int_not_equal(file_at(e.port), 0);
    pf_listeners_shut(&other);
    pf_listeners_close(&other);
}

/* ---- what nobody asks for -------------------------------------------------------------
 */

static void
drains_before_it_closes(void **state)
{
    int first, late;
    struct pollfd p;

    (void)state;
    must_open(&old, tcp("0"));
    hand_over();
    first = client_of(&old.table[0]);
    assert_int_equal(pf_listener_queued(&ls.handed[0]), 1);
    pf_listeners_commit(&ls, 0, note, NULL);
    late = client_of(&old.table[0]);
    p = (struct pollfd){.fd = late, .events = POLLOUT};
    assert_int_equal(poll(&p, 1, 0), 0); /* it tries again, and then nobody is here */
    assert_int_equal(pf_listeners_retire(&ls, LATER, false), 1);
    (void)close(accept(old.table[0].fd, NULL, NULL));
    assert_int_equal(pf_listener_queued(&ls.handed[0]), 0);
    assert_int_equal(pf_listeners_retire(&ls, LATER, false), 0);
    assert_int_equal(ls.handed_count, 0);
    assert_int_equal(accept(old.table[0].fd, NULL, NULL), -1);
    assert_int_equal(errno, EINVAL); /* closed for all who have it */
    (void)close(first);
    (void)close(late);
}

/* A filter at the client holds the answer to its first packet back, so that its handshake
 * is under way for as long as wanted. The kernel answers again after a second. */
static int
client_under_way(const struct pf_listener *l)
{
    static struct sock_filter deaf[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    const struct sock_fprog program = {.len = 1, .filter = deaf};
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    int fd = socket(l->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(getsockname(l->fd, (void *)&a, &n), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program),
                     0);
    assert_int_equal(connect(fd, (void *)&a, n), -1);
    assert_int_equal(errno, EINPROGRESS);
    return fd;
}

static void
does_not_reset_a_handshake_under_way(void **state)
{
    struct pollfd p = {.events = POLLOUT};
    int broken = -1, unused = 0;
    socklen_t n = sizeof broken;

    (void)state;
    must_open(&old, tcp("0"));
    hand_over();
    p.fd = client_under_way(&old.table[0]);
    pf_listeners_commit(&ls, 0, note, NULL);
    assert_int_equal(pf_listener_queued(&ls.handed[0]), 0);
    assert_int_equal(pf_listeners_retire(&ls, LATER - 1, false), 1);
    assert_int_equal(setsockopt(p.fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused),
                     0);
    assert_int_equal(poll(&p, 1, -1), 1);
    assert_int_equal(getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &broken, &n), 0);
    assert_int_equal(broken, 0);
    assert_int_equal(pf_listeners_retire(&ls, LATER, false), 1); /* it is in the queue */
    (void)close(accept(old.table[0].fd, NULL, NULL));
    assert_int_equal(pf_listeners_retire(&ls, LATER, false), 0);
    (void)close(p.fd);
}

/* With no descriptor to spare the kernel cannot be asked about a unix socket. */
static void
does_not_take_the_unknown_for_empty(void **state)
{
    struct rlimit limit, none;
    int client, queued, left;

    (void)state;
    must_open(&old, path("x"));
    hand_over();
    client = client_at(path("x").port, SOCK_STREAM);
    pf_listeners_commit(&ls, 0, note, NULL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    queued = pf_listener_queued(&ls.handed[0]);
    left = (int)pf_listeners_retire(&ls, LATER, false);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(queued, -EMFILE);
    assert_int_equal(left, 1);
    (void)close(accept(old.table[0].fd, NULL, NULL));
    assert_int_equal(pf_listeners_retire(&ls, LATER, false), 0);
    (void)close(client);
}

static void
closes_nothing_before_the_commit(void **state)
{
    int client;

    (void)state;
    must_open(&old, tcp("0"));
    hand_over();
    assert_int_equal(pf_listeners_retire(&ls, LATER, false), 1);
    assert_int_equal(pf_listeners_retire(&ls, LATER, true), 1);
    client = client_of(&old.table[0]);
    (void)close(accept(old.table[0].fd, NULL, NULL));
    (void)close(client);
    pf_listeners_give_back(&ls);
    assert_int_equal(ls.count, 1);
}

/* The packets of a connection that has begun pass the filter. */
static void
serves_who_got_in_before(void **state)
{
    char byte = 0;
    int client, served;

    (void)state;
    must_open(&old, tcp("0"));
    hand_over();
    client = client_of(&old.table[0]);
    pf_listeners_commit(&ls, 0, note, NULL);
    served = accept(old.table[0].fd, NULL, NULL);
    assert_true(served >= 0);
    assert_int_equal(write(client, "x", 1), 1);
    assert_int_equal(recv(served, &byte, 1, 0), 1);
    assert_int_equal(byte, 'x');
    (void)close(served);
    (void)close(client);
}

static void
closes_a_path_to_new_clients(void **state)
{
    struct pf_endpoint e = path("x");
    int client;

    (void)state;
    must_open(&old, e);
    hand_over();
    client = client_at(e.port, SOCK_STREAM);
    pf_listeners_commit(&ls, 0, note, NULL);
    assert_int_equal(file_at(e.port), 0);
    assert_int_equal(pf_listeners_retire(&ls, LATER, false), 1);
    (void)close(accept(old.table[0].fd, NULL, NULL));
    assert_int_equal(pf_listeners_retire(&ls, LATER, false), 0);
    (void)close(client);
}

static void
forgets_it_in_a_worker(void **state)
{
    int fd;

    (void)state;
    must_open(&old, tcp("0"));
    hand_over();
    fd = ls.handed[0].fd;
    pf_listeners_forget_handed(&ls);
    assert_int_equal(ls.handed_count, 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* The stop of a server that was reloaded, also before it has decided. */
static void
shuts_what_it_took_over(void **state)
{
    (void)state;
    must_open(&old, path("x"));
    must_open(&old, path("y"));
    must_open(&old, tcp("0"));
    hand_over();
    must_open(&ls, path("x"));
    pf_listeners_shut(&ls);
    assert_int_equal(file_at(path("x").port), 0);
    assert_int_equal(file_at(path("y").port), 0);
    assert_int_equal(accept(old.table[2].fd, NULL, NULL), -1);
    assert_int_equal(errno, EINVAL);
}

/* ---- the way back ---------------------------------------------------------------------
 */

static void
gives_back_what_it_took(void **state)
{
    struct pf_endpoint e = tcp("0"), u = path("x");
    char port[16];

    (void)state;
    u.has_mode = true;
    u.mode = 0600;
    must_open(&old, e);
    must_open(&old, u);
    must_open(&old, at(PF_PROTO_TCP, "127.0.0.2", "0"));
    hand_over();
    (void)strcpy(port, port_of(&old.table[0]));
    u.mode = 0666;
    must_open(&ls, u);
    must_open(&ls, path("new"));
    e = tcp(port);
    e.proto = PF_PROTO_SSL;
    e.shards = 2;
    e.backlog = 3;
    must_open(&ls, e);
    assert_int_equal(ls.count, 4);
    pf_listeners_give_back(&ls);
    assert_int_equal(ls.count, 3);
    assert_int_equal(ls.handed_count, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(are_same(&ls.table[i], &old.table[i]));
        assert_int_equal(ls.table[i].proto, old.table[i].proto);
        assert_int_equal(ls.table[i].any_port, old.table[i].any_port);
        assert_int_equal(ls.table[i].id, old.table[i].id);
        assert_null(ls.table[i].endpoint);
    }
    assert_false(pf_socket_is_shared(old.table[0].fd));
    assert_int_equal(backlog_of(&old.table[0]), 16);
    assert_int_equal(mode_at(u.port), 0600);
    assert_int_equal(file_at(path("new").port), 0);
}

static void
gives_back_a_half_opened_endpoint(void **state)
{
    struct pf_endpoint e = tcp("0");

    (void)state;
    must_open(&old, e);
    must_open(&old, tcp("0"));
    hand_over();
    e.shards = PF_LISTENERS_MAX + 1;
    assert_int_equal(try_open(&ls, e), -ENOSPC);
    assert_int_equal(ls.count, 0);
    assert_int_equal(ls.handed_count, 2);
    assert_true(are_same(&ls.handed[0], &old.table[0]));
    assert_true(are_same(&ls.handed[1], &old.table[1]));
    assert_false(pf_socket_is_shared(old.table[0].fd));
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(keeps_what_is_asked_for),
        CASE(keeps_what_came_from_outside),
        CASE(takes_a_twin_for_the_same),
        CASE(gives_way_to_a_number),
        CASE(keeps_numbers_the_kernel_chose),
        CASE(tells_a_choice_from_a_number),
        CASE(refuses_what_is_not_what_it_says),
        CASE(opens_beside_what_is_in_the_way),
        CASE(opens_both_versions_in_place_of_one),
        CASE(refuses_endpoints_that_are_in_the_way),
        CASE(adds_and_drops_shards),
        CASE(changes_options_at_the_commit),
        CASE(changes_mode_and_owner_at_the_commit),
        CASE(refuses_rights_it_cannot_give),
        CASE(takes_over_a_path_with_another_type),
        CASE(gives_a_staged_path_back),
        CASE(makes_a_path_again),
        CASE(leaves_a_path_to_who_has_it_now),
        CASE(drains_before_it_closes),
        CASE(does_not_reset_a_handshake_under_way),
        CASE(does_not_take_the_unknown_for_empty),
        CASE(closes_nothing_before_the_commit),
        CASE(serves_who_got_in_before),
        CASE(closes_a_path_to_new_clients),
        CASE(forgets_it_in_a_worker),
        CASE(shuts_what_it_took_over),
        CASE(gives_back_what_it_took),
        CASE(gives_back_a_half_opened_endpoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
