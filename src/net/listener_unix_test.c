/* Paths of unix sockets: whose they are, and what is in their way. */
#include "net/listener_test.h"

#include <sys/stat.h>
#include <sys/un.h>

static void
gives_a_path_to_one_type(void **state)
{
    struct pf_endpoint e = unix_at("x");

    (void)state;
    must_open(e);
    e.proto = PF_PROTO_UNIXDGRAM;
    must_refuse(e, EADDRINUSE, PREFORK_EXIT_CONFIG, "a socket of another type");
    assert_int_equal(ls.count, 1);
}

static mode_t
mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    return st.st_mode & 07777;
}

/* A socket file that nobody listens on. */
static void
leave_stale(const char *path, int type)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type, 0);

    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    assert_int_equal(bind(fd, (const void *)&a, sizeof a), 0);
    (void)close(fd);
}

static void
opens_a_path(void **state)
{
    struct pf_endpoint e = unix_at("x");
    mode_t mask = umask(027);
    int fd;

    (void)state;
    must_open(e);
    (void)umask(mask);
    assert_string_equal(ls.table[0].address, e.port);
    assert_int_equal(ls.table[0].family, AF_UNIX);
    assert_int_equal(pf_listener_port(&ls.table[0]), 0);
    assert_int_equal(mode_of(e.port), 0750);
    fd = connect_to(&ls.table[0]);
    assert_true(fd >= 0);
    (void)close(fd);
    must_open(e);
    assert_int_equal(ls.count, 1);
    assert_non_null(strstr(notes, "is named twice"));
    pf_listeners_shut(&ls);
    assert_int_equal(access(e.port, F_OK), -1);
}

static void
gives_mode_and_owner(void **state)
{
    struct pf_endpoint e = unix_at("x");
    mode_t mask = umask(077);
    struct stat st;

    (void)state;
    e.has_mode = true;
    e.mode = 0666;
    e.owner = geteuid() == 0 ? 1234 : geteuid();
    e.group = geteuid() == 0 ? 2345 : getegid();
    must_open(e);
    assert_int_equal(umask(mask), 077);
    assert_int_equal(mode_of(e.port), 0666);
    assert_int_equal(lstat(e.port, &st), 0);
    assert_int_equal(st.st_uid, e.owner);
    assert_int_equal(st.st_gid, e.group);
}

static void
keeps_the_umask_with_an_owner(void **state)
{
    struct pf_endpoint e = unix_at("x");
    mode_t mask = umask(027);

    (void)state;
    e.group = getegid();
    must_open(e);
    (void)umask(mask);
    assert_int_equal(mode_of(e.port), 0750);
}

static void
takes_back_a_path(void **state)
{
    struct pf_endpoint e = unix_at("x");

    (void)state;
    if (geteuid() == 0)
        skip();
    e.owner = 0;
    must_refuse(e, EPERM, PREFORK_EXIT_SYSTEM, "its owner and mode cannot be set");
    assert_int_equal(access(e.port, F_OK), -1);
}

static void
replaces_a_stale_socket(void **state)
{
    struct pf_endpoint e = unix_at("x");

    (void)state;
    leave_stale(e.port, SOCK_STREAM);
    must_open(e);
    pf_listeners_shut(&ls);
    pf_listeners_close(&ls);
    leave_stale(e.port, SOCK_DGRAM);
    must_open(e);
}

static void
leaves_a_live_socket_alone(void **state)
{
    struct pf_endpoint e = unix_at("x");
    struct pf_listeners other = {0};

    (void)state;
    e.backlog = 0;
    assert_int_equal(pf_listeners_open(&other, &e, NULL, NULL, &error), 0);
    must_refuse(e, EADDRINUSE, PREFORK_EXIT_SYSTEM, "in use by another process");
    /* The first question fills the queue: EAGAIN, the second answer, says the same. */
    must_refuse(e, EADDRINUSE, PREFORK_EXIT_SYSTEM, "in use by another process");
    assert_int_equal(access(e.port, F_OK), 0);
    pf_listeners_shut(&other);
    pf_listeners_close(&other);
}

static void
leaves_a_live_datagram_socket_alone(void **state)
{
    struct pf_endpoint e = unix_at("x");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    (void)state;
    memcpy(a.sun_path, e.port, sizeof a.sun_path);
    assert_int_equal(bind(fd, (const void *)&a, sizeof a), 0);
    must_refuse(e, EADDRINUSE, PREFORK_EXIT_SYSTEM, "in use by another process");
    (void)close(fd);
    must_open(e);
}

static void
never_touches_what_is_no_socket(void **state)
{
    struct pf_endpoint e = unix_at("x");
    int fd = open(e.port, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    (void)state;
    (void)close(fd);
    must_refuse(e, EEXIST, PREFORK_EXIT_SYSTEM, "exists and is not a socket");
    assert_int_equal(unlink(e.port), 0);
    assert_int_equal(symlink("nowhere", e.port), 0);
    must_refuse(e, EEXIST, PREFORK_EXIT_SYSTEM, "is a symbolic link");
    assert_int_equal(unlink(e.port), 0);
    must_refuse(unix_at("."), EEXIST, PREFORK_EXIT_SYSTEM, "exists and is not a socket");
    must_refuse(unix_at("no/x"), ENOENT, PREFORK_EXIT_SYSTEM,
                "/no does not exist: create it");
}

static void
unlinks_only_its_own_file(void **state)
{
    struct pf_endpoint e = unix_at("x");

    (void)state;
    must_open(e);
    assert_int_equal(unlink(e.port), 0);
    leave_stale(unix_at("other").port, SOCK_STREAM);
    assert_int_equal(rename(unix_at("other").port, e.port), 0);
    pf_listeners_shut(&ls);
    assert_int_equal(unlink(e.port), 0);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(gives_a_path_to_one_type),
        CASE(opens_a_path),
        CASE(gives_mode_and_owner),
        CASE(keeps_the_umask_with_an_owner),
        CASE(takes_back_a_path),
        CASE(replaces_a_stale_socket),
        CASE(leaves_a_live_socket_alone),
        CASE(leaves_a_live_datagram_socket_alone),
        CASE(never_touches_what_is_no_socket),
        CASE(unlinks_only_its_own_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
