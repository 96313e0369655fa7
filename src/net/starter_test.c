/* What start_server may promise: the good, and each kind of mistake. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "net/inherit.h"
#include "net/starter.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct pf_listeners ls;
static struct pf_error error;
static char ports[400];

static int
begin(void **state)
{
    (void)state;
    memset(&error, 0, sizeof error);
    ports[0] = '\0';
    return 0;
}

static int
end(void **state)
{
    (void)state;
    pf_listeners_close(&ls);
    return unsetenv("SERVER_STARTER_PORT") | unsetenv("SERVER_STARTER_GENERATION");
}

static int
make(int family, int type)
{
    const struct sockaddr_in v4 = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr un = {.sa_family = AF_UNIX};
    int fd = socket(family, type, 0);

    assert_true(fd >= 0);
    if (family == AF_INET)
        assert_int_equal(bind(fd, (const void *)&v4, sizeof v4), 0);
    else /* a name of the kernel's choice */
        assert_int_equal(bind(fd, &un, sizeof un.sa_family), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static void
promise(const char *address, int fd)
{
    size_t n = strlen(ports);

    (void)snprintf(ports + n, sizeof ports - n, "%s%s=%d", n > 0 ? ";" : "", address, fd);
    (void)setenv("SERVER_STARTER_PORT", ports, 1);
}

static int
take(void)
{
    int r = pf_starter_ports(&ls, &error);

    assert_null(getenv("SERVER_STARTER_PORT"));
    return r;
}

static void
must_refuse(const char *text, const char *sentence)
{
    memset(&error, 0, sizeof error);
    (void)setenv("SERVER_STARTER_PORT", text, 1);
    assert_int_equal(take(), -EINVAL);
    if (!strstr(error.text, sentence))
        fail_msg("\"%s\" is not in \"%s\"", sentence, error.text);
    assert_int_equal(error.exit_code, PREFORK_EXIT_CONFIG);
    assert_int_equal(ls.count, 0);
}

/* The address of an entry may be anything: the descriptor says what it is. */
static void
takes_each_kind(void **state)
{
    int tcp = make(AF_INET, SOCK_STREAM);
    int udp = make(AF_INET, SOCK_DGRAM);
    int path = make(AF_UNIX, SOCK_STREAM);

    (void)state;
    promise("127.0.0.1:80", tcp);
    promise("53", udp);
    promise("/run/a=b.sock", path);
    assert_int_equal(take(), 3);
    assert_int_equal(ls.table[0].fd, tcp);
    assert_int_equal(ls.table[0].proto, PF_PROTO_TCP);
    assert_int_equal(ls.table[1].proto, PF_PROTO_UDP);
    assert_int_equal(ls.table[2].fd, path);
    assert_int_equal(ls.table[2].proto, PF_PROTO_UNIX);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(ls.table[i].inherited);
        assert_int_equal(ls.table[i].id, ls.table[0].id + i);
        assert_true(fcntl(ls.table[i].fd, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(ls.table[i].fd, F_GETFL) & O_NONBLOCK);
    }
}

static void
takes_nothing_where_nothing_is(void **state)
{
    (void)state;
    assert_int_equal(take(), 0);
    (void)setenv("SERVER_STARTER_PORT", "", 1);
    assert_int_equal(take(), 0);
    assert_int_equal(ls.count, 0);
}

static void
names_what_is_wrong(void **state)
{
    char text[64];
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    must_refuse("8080", "\"8080\" is not address=descriptor");
    must_refuse("8080=", "is not address=descriptor");
    must_refuse("8080=four", "is not address=descriptor");
    must_refuse("8080=-1", "is not address=descriptor");
    must_refuse("8080=4294967296", "is not address=descriptor");
    (void)snprintf(text, sizeof text, "8080=%d", fd);
    must_refuse(text, "is not a socket");
    (void)close(fd);
    must_refuse(text, "is not open");
    (void)snprintf(text, sizeof text, "8080=%d;", fd = make(AF_INET, SOCK_STREAM));
    must_refuse(text, "\"\" is not address=descriptor");
    (void)close(fd);
}

/* A server that runs as a program of another one is told of its sockets twice. */
static void
takes_a_socket_once(void **state)
{
    int fd = make(AF_INET, SOCK_STREAM);

    (void)state;
    ls.table[ls.count++] = (struct pf_listener){.fd = fd, .inherited = true};
    promise("127.0.0.1:80", fd);
    assert_int_equal(take(), 0);
    assert_int_equal(ls.count, 1);
}

/* --port=8080=0 of start_server. */
static void
leaves_standard_input(void **state)
{
    int aside = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
    int fd = make(AF_INET, SOCK_STREAM);
    struct stat st;

    (void)state;
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    (void)close(fd);
    promise("8080", STDIN_FILENO);
    assert_int_equal(take(), 1);
    assert_true(ls.table[0].fd > STDERR_FILENO);
    assert_int_not_equal(pf_listener_port(&ls.table[0]), 0);
    assert_int_equal(fstat(STDIN_FILENO, &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    if (aside >= 0)
        (void)dup2(aside, STDIN_FILENO);
    (void)close(aside);
}

static void
knows_the_generation(void **state)
{
    (void)state;
    assert_int_equal(pf_starter_generation(), 0);
    (void)setenv("SERVER_STARTER_GENERATION", "x", 1);
    assert_int_equal(pf_starter_generation(), 0);
    (void)setenv("SERVER_STARTER_GENERATION", "3", 1);
    assert_int_equal(pf_starter_generation(), 3);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(takes_each_kind),       CASE(takes_nothing_where_nothing_is),
        CASE(names_what_is_wrong),   CASE(takes_a_socket_once),
        CASE(leaves_standard_input), CASE(knows_the_generation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
