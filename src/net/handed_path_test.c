/* Paths of unix sockets, from one master to the next. */
#include "net/handed_test.h"

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

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(takes_over_a_path_with_another_type),
        CASE(gives_a_staged_path_back),
        CASE(makes_a_path_again),
        CASE(leaves_a_path_to_who_has_it_now),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
