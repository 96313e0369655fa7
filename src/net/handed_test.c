/* From one master to the next: what the settings ask for is kept, and waits for the commit.
 */
#include "net/handed_test.h"

#include <sys/wait.h>

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

static bool
listens(const struct pf_listener *l)
{
    int value = -1;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(l->fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size), 0);
    return value;
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
    assert_true(listens(&ls.table[1]) && listens(&ls.table[2]));
    assert_true(pf_socket_is_shared(old.table[0].fd));

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
