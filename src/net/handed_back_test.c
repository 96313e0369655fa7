/* What nobody asks for any more, and what is given back to the master before. */
#include "net/handed_test.h"

#include <linux/filter.h>
#include <sys/resource.h>

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
