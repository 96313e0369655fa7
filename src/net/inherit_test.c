/* Descriptors handed in: the good, and each kind of mistake. The test puts its sockets at
 * descriptor 3 and 4, and what a test runner may have there aside meanwhile. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "net/inherit.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static struct pf_listeners ls;
static struct pf_error error;
static int aside[2];

static int
begin(void **state)
{
    (void)state;
    memset(&error, 0, sizeof error);
    ls.count = 0;
    for (int i = 0; i < 2; i++) {
        aside[i] = fcntl(3 + i, F_DUPFD_CLOEXEC, 50);
        (void)close(3 + i);
    }
    return 0;
}

static int
end(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        (void)close(3 + i);
        if (aside[i] >= 0)
            (void)dup2(aside[i], 3 + i);
        (void)close(aside[i]);
    }
    return 0;
}

static void
place(int fd, int at)
{
    if (fd == at)
        return;
    assert_int_equal(dup2(fd, at), at);
    (void)close(fd);
}

/* A socket at descriptor `at`; TCP ones on the loopback, unix ones without a name. */
static void
place_socket(int at, int family, int type, bool listening)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(family, type, 0);

    assert_true(fd >= 0);
    if (family == AF_INET)
        assert_int_equal(bind(fd, (const void *)&v4, sizeof v4), 0);
    else
        assert_int_equal(bind(fd, (const void *)&un, sizeof un.sun_family), 0);
    if (listening)
        assert_int_equal(listen(fd, 4), 0);
    place(fd, at);
}

static void
promise(const char *pid, const char *fds)
{
    char self[24];

    (void)snprintf(self, sizeof self, "%d", (int)getpid());
    if (pid)
        (void)setenv("LISTEN_PID", strcmp(pid, "self") == 0 ? self : pid, 1);
    if (fds)
        (void)setenv("LISTEN_FDS", fds, 1);
    (void)setenv("LISTEN_FDNAMES", "a:b", 1);
}

static void
must_forget(void)
{
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
}

static void
must_refuse(int errnum, const char *sentence)
{
    memset(&error, 0, sizeof error);
    assert_int_equal(pf_inherit_listen_fds(&ls, NULL, NULL, &error), -errnum);
    if (!strstr(error.text, sentence))
        fail_msg("\"%s\" is not in \"%s\"", sentence, error.text);
    assert_int_equal(error.exit_code, PREFORK_EXIT_CONFIG);
    assert_int_equal(ls.count, 0);
    must_forget();
}

static void
takes_over_tcp_and_unix(void **state)
{
    char text[64];

    (void)state;
    place_socket(3, AF_INET, SOCK_STREAM, true);
    place_socket(4, AF_UNIX, SOCK_STREAM, true);
    promise("self", "2");
    assert_int_equal(pf_inherit_listen_fds(&ls, NULL, NULL, &error), 2);
    assert_int_equal(ls.count, 2);
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", pf_listener_port(&ls.table[0]));
    assert_string_equal(ls.table[0].address, text);
    assert_int_equal(ls.table[1].family, AF_UNIX);
    assert_int_equal(ls.table[1].address[0], '@');
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ls.table[i].fd, 3 + i);
        assert_true(ls.table[i].inherited);
        assert_true(fcntl(3 + i, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(3 + i, F_GETFL) & O_NONBLOCK);
    }
    must_forget();
    assert_int_equal(pf_inherit_listen_fds(&ls, NULL, NULL, &error), 0);
}

/* A datagram socket with an abstract name that nobody else has. */
static void
place_named(int at)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    int length = snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "inherit-%d", getpid());

    assert_int_equal(
        bind(fd, (const void *)&un,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1) + (socklen_t)length),
        0);
    place(fd, at);
}

static void
takes_over_datagrams(void **state)
{
    (void)state;
    place_socket(3, AF_INET, SOCK_DGRAM, false);
    place_named(4);
    promise("self", "2");
    assert_int_equal(pf_inherit_listen_fds(&ls, NULL, NULL, &error), 2);
    assert_int_equal(ls.table[0].proto, PF_PROTO_UDP);
    assert_int_equal(ls.table[0].family, AF_INET);
    assert_int_not_equal(pf_listener_port(&ls.table[0]), 0);
    assert_int_equal(ls.table[1].proto, PF_PROTO_UNIXDGRAM);
    assert_true(fcntl(3, F_GETFL) & O_NONBLOCK);
}

/* ---- names ----------------------------------------------------------------------------
 */

static char stored[200]; /* "name=descriptor " of what was handed on */

static int
store(void *context, const char *name, int fd, struct pf_error *e)
{
    size_t n = strlen(stored);

    assert_ptr_equal(context, stored);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    (void)snprintf(stored + n, sizeof stored - n, "%s=%d ", name, fd);
    return strcmp(name, "prefork.bad") != 0
               ? 0
               : pf_error_set(e, PREFORK_EXIT_SYSTEM, EPROTO, "bad");
}

static int
take_named(const char *names)
{
    stored[0] = '\0';
    memset(&error, 0, sizeof error);
    promise("self", "2");
    (void)setenv("LISTEN_FDNAMES", names, 1);
    return pf_inherit_listen_fds(&ls, store, stored, &error);
}

static void
hands_on_what_was_stored(void **state)
{
    (void)state;
    place(open("/dev/null", O_RDONLY), 3);
    place_socket(4, AF_INET, SOCK_STREAM, true);
    assert_int_equal(take_named("prefork.state.7:web"), 1);
    assert_string_equal(stored, "prefork.state.7=3 ");
    assert_int_equal(ls.count, 1);
    assert_int_equal(ls.table[0].fd, 4);
    must_forget();
    ls.count = 0;
    assert_int_equal(take_named("prefork.exe:prefork.l.0"), 0);
    assert_string_equal(stored, "prefork.exe=3 prefork.l.0=4 ");
    assert_int_equal(take_named("prefork.bad:web"), -EPROTO);
    assert_int_equal(ls.count, 0);
    promise("self", "2");
    (void)setenv("LISTEN_FDNAMES", "prefork.exe:web", 1);
    assert_int_equal(pf_inherit_listen_fds(&ls, NULL, NULL, &error), 1);
    assert_int_equal(fcntl(3, F_GETFD), -1); /* nobody wants it */
}

/* Also without names, with too few of them, and named after the unit of systemd. */
static void
takes_the_rest_for_sockets(void **state)
{
    static const char *const names[] = {
        "", "web", "a:b:c", "prefork", ":prefork", "prefork.socket:prefork.x.socket"};

    (void)state;
    place_socket(3, AF_INET, SOCK_STREAM, true);
    place_socket(4, AF_INET, SOCK_STREAM, true);
    for (size_t i = 0; i < PF_COUNT(names); i++) {
        assert_int_equal(take_named(names[i]), 2);
        assert_string_equal(stored, "");
        ls.count = 0;
    }
}

static void
ignores_what_is_not_meant_for_it(void **state)
{
    static const struct {
        const char *pid, *fds;
    } cases[] = {{NULL, NULL},  {NULL, "1"},    {"1", "1"},
                 {"1", "many"}, {"self", NULL}, {"self", "0"}};

    (void)state;
    place_socket(3, AF_INET, SOCK_STREAM, true);
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        promise(cases[i].pid, cases[i].fds);
        assert_int_equal(pf_inherit_listen_fds(&ls, NULL, NULL, &error), 0);
        assert_int_equal(ls.count, 0);
        must_forget();
    }
}

static void
refuses_nonsense_numbers(void **state)
{
    static const struct {
        const char *pid, *fds, *sentence;
        int errnum;
    } cases[] = {
        {"", "1", "LISTEN_PID: \"\" is not a number", EINVAL},
        {"me", "1", "LISTEN_PID: \"me\" is not a number", EINVAL},
        {"self", "", "LISTEN_FDS: \"\" is not a number", EINVAL},
        {"self", "-1", "LISTEN_FDS: \"-1\" is not a number", EINVAL},
        {"self", "2x", "LISTEN_FDS: \"2x\" is not a number", EINVAL},
        {"self", "1048577", "LISTEN_FDS: 1048577 descriptors, and 1048576 are the most",
         ERANGE},
        {"self", "99999999999999999999999", "LISTEN_FDS: \"9999", ERANGE},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        promise(cases[i].pid, cases[i].fds);
        must_refuse(cases[i].errnum, cases[i].sentence);
    }
}

static void
refuses_what_does_not_accept(void **state)
{
    (void)state;
    promise("self", "1");
    must_refuse(EINVAL, "descriptor 3 is not open");
    place(open("/dev/null", O_RDONLY), 3);
    promise("self", "1");
    must_refuse(EINVAL, "descriptor 3 is not a socket");
    place(socket(AF_INET, SOCK_DGRAM, 0), 3);
    promise("self", "1");
    must_refuse(EINVAL, "descriptor 3 is not bound");
    place(socket(AF_UNIX, SOCK_DGRAM, 0), 3);
    promise("self", "1");
    must_refuse(EINVAL, "descriptor 3 is not bound");
    place(socket(AF_UNIX, SOCK_SEQPACKET, 0), 3);
    promise("self", "1");
    must_refuse(EINVAL, "descriptor 3 is neither a stream nor a datagram socket");
    place_socket(3, AF_INET, SOCK_STREAM, false);
    promise("self", "1");
    must_refuse(EINVAL, "descriptor 3 does not listen");
    place_socket(3, AF_INET, SOCK_STREAM, true);
    place_socket(4, AF_UNIX, SOCK_STREAM, false);
    promise("self", "2");
    must_refuse(EINVAL, "descriptor 4 does not listen");
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(takes_over_tcp_and_unix),          CASE(takes_over_datagrams),
        CASE(ignores_what_is_not_meant_for_it), CASE(refuses_nonsense_numbers),
        CASE(refuses_what_does_not_accept),     CASE(hands_on_what_was_stored),
        CASE(takes_the_rest_for_sockets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
