/* The sink on real files and sockets: what is written, what is dropped, what is made anew.
 */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "log/sink.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static char directory[] = "/tmp/prefork-sink-XXXXXX";
static char path[64]; /* of the file or socket of a test */

static struct pf_line
make(const char *text)
{
    return (struct pf_line){
        .name = "x", .pid = 7, .level = PREFORK_LOG_ERROR, .text = text};
}

static struct pf_log_target
to_syslog(enum pf_syslog_way way)
{
    return (struct pf_log_target){
        .kind = PF_LOG_SYSLOG,
        .syslog = {.ways = {way},
                   .way_count = 1,
                   .path = path,
                   .facility = LOG_USER,
                   .pid = true,
                   .nofatal = true},
    };
}

/* A daemon's socket at the path. */
static int
be_daemon(int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type, 0);

    (void)unlink(path);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static void
expect(int fd, const char *text)
{
    char buffer[256] = "";

    assert_true(read(fd, buffer, sizeof buffer - 1) > 0);
    assert_string_equal(buffer, text);
}

static void
a_lost_daemon_is_called_once_in_a_second(void **state)
{
    struct pf_log_target target = to_syslog(PF_SYSLOG_UNIX);
    struct pf_line line = make("hello");
    struct pf_error error = {0};
    struct pf_sink s;
    uint32_t mark;
    int daemon;

    (void)state;
    (void)unlink(path);
    assert_int_equal(pf_sink_open(&s, &target, &error), PF_SINK_E_UNREACHABLE);
    assert_non_null(strstr(error.text, path));
    mark = s.mark;
    assert_int_equal(pf_sink_write(&s, &line), -EPIPE);
    assert_int_equal(pf_sink_repair(&s, PF_SECOND), -ENOENT);
    daemon = be_daemon(SOCK_DGRAM);
    assert_int_equal(pf_sink_repair(&s, 2 * PF_SECOND - 1), -EAGAIN);
    assert_int_equal(s.mark, mark);
    assert_int_equal(pf_sink_repair(&s, 2 * PF_SECOND), 0);
    assert_int_not_equal(s.mark, mark);
    assert_int_equal(pf_sink_write(&s, &line), 0);
    expect(daemon, "<11>Jan  1 00:00:00 x[7]: hello");
    (void)close(daemon);
    assert_int_equal(pf_sink_write(&s, &line), -EPIPE);
    pf_sink_close(&s);
    assert_int_equal(s.fd, STDERR_FILENO);
}

static void
native_takes_a_stream_where_there_is_one(void **state)
{
    struct pf_log_target target = to_syslog(PF_SYSLOG_UNIX);
    struct pf_line line = make("hello");
    int door = be_daemon(SOCK_STREAM);
    struct pf_sink s;
    int daemon;

    (void)state;
    assert_int_equal(pf_sink_open(&s, &target, NULL), 0);
    assert_int_equal(s.way, PF_SYSLOG_STREAM);
    daemon = accept(door, NULL, NULL);
    assert_int_equal(pf_sink_write(&s, &line), 0);
    expect(daemon, "<11>Jan  1 00:00:00 x[7]: hello\n");
    (void)close(daemon); /* noticed before a line is lost to it */
    assert_int_equal(pf_sink_write(&s, &line), -EPIPE);
    pf_sink_close(&s);
    (void)close(door);
}

/* However full, only whole lines are there. */
static void
a_full_stream_holds_whole_lines(void **state)
{
    struct pf_log_target target = to_syslog(PF_SYSLOG_STREAM);
    struct pf_line line = make("0123456789 0123456789 0123456789 0123456789 0123456789");
    static char buffer[1 << 20];
    int door = be_daemon(SOCK_STREAM);
    struct pf_sink s;
    size_t got = 0;
    ssize_t n;
    int daemon;
    int r = 0;

    (void)state;
    assert_int_equal(pf_sink_open(&s, &target, NULL), 0);
    daemon = accept4(door, NULL, NULL, SOCK_NONBLOCK);
    for (unsigned i = 0; i < 100000 && r == 0; i++)
        r = pf_sink_write(&s, &line);
    assert_int_equal(r, -EAGAIN);
    while ((n = read(daemon, buffer + got, sizeof buffer - got)) > 0)
        got += (size_t)n;
    assert_true(got > 0);
    assert_int_equal(buffer[got - 1], '\n');
    assert_int_equal(pf_sink_write(&s, &line), 0);
    (void)close(daemon);
    (void)close(door);
    pf_sink_close(&s);
}

static void
who_is_handed_a_descriptor_writes_to_it(void **state)
{
    struct pf_log_target target = {.kind = PF_LOG_FILE, .key = "log_file", .path = path};
    struct pf_line line = make("hello");
    struct pf_sink owner;
    struct pf_sink other;
    struct pf_error error = {0};
    char renamed[80];
    int fd;

    (void)state;
    (void)unlink(path);
    assert_int_equal(pf_sink_open(&owner, &target, &error), 0);
    other = owner; /* as a forked process has it, but for the numbers */
    other.fd = dup(owner.fd);
    other.place.directory = -1;
    pf_sink_disown(&other);
    assert_int_equal(pf_sink_renew(&other), -EINVAL);
    (void)snprintf(renamed, sizeof renamed, "%s.1", path);
    assert_int_equal(rename(path, renamed), 0);
    assert_int_equal(pf_sink_renew(&owner), 0);
    assert_int_not_equal(owner.mark, other.mark);
    pf_sink_take(&other, dup(owner.fd), owner.mark);
    assert_int_equal(other.mark, owner.mark);
    assert_int_equal(pf_sink_write(&other, &line), 0);
    fd = open(path, O_RDONLY);
    expect(fd, "1970-01-01 00:00:00.000 x[7] error: hello\n");
    (void)close(fd);
    (void)unlink(renamed);
    pf_sink_close(&other);
    pf_sink_close(&owner);
}

static void
a_renewal_that_fails_changes_nothing(void **state)
{
    struct pf_log_target target = {.kind = PF_LOG_FILE, .key = "log_file", .path = path};
    struct pf_line line = make("hello");
    struct pf_sink s;
    uint32_t mark;

    (void)state;
    (void)unlink(path);
    assert_int_equal(pf_sink_open(&s, &target, NULL), 0);
    mark = s.mark;
    (void)unlink(path);
    assert_int_equal(mkdirat(s.place.directory, s.place.name, 0700), 0);
    assert_int_equal(pf_sink_renew(&s), -EISDIR);
    assert_int_equal(s.mark, mark);
    assert_int_equal(pf_sink_write(&s, &line), 0);
    assert_int_equal(rmdir(path), 0);
    pf_sink_close(&s);
}

static void
what_cannot_be_opened_is_standard_error(void **state)
{
    struct pf_log_target target = {
        .kind = PF_LOG_FILE, .key = "log_file", .path = "/nowhere/at/all"};
    struct pf_error error = {0};
    struct pf_sink s;

    (void)state;
    assert_int_equal(pf_sink_open(&s, &target, &error), -ENOENT);
    assert_string_equal(error.text,
                        "log_file /nowhere/at/all: No such file or directory; make its "
                        "directory, or name another path");
    assert_int_equal(error.exit_code, PREFORK_EXIT_SYSTEM);
    assert_int_equal(s.fd, STDERR_FILENO);
    assert_int_equal(pf_sink_renew(&s), -EINVAL);
}

/* The mark wraps around in a long life, and is never 0. */
static void
marks_wrap_around(void **state)
{
    struct pf_log_target target = {.kind = PF_LOG_FILE, .key = "log_file", .path = path};
    struct pf_sink s;

    (void)state;
    (void)unlink(path);
    assert_int_equal(pf_sink_open(&s, &target, NULL), 0);
    s.mark = UINT32_MAX;
    assert_int_equal(pf_sink_renew(&s), 0);
    assert_int_equal(s.mark, 8);
    pf_sink_close(&s);
}

static int
make_directory(void **state)
{
    (void)state;
    (void)setenv("TZ", "UTC0", 1);
    tzset();
    if (!mkdtemp(directory))
        return -1;
    (void)snprintf(path, sizeof path, "%s/log", directory);
    return 0;
}

static int
remove_directory(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(directory);
}

/* Whoever has a descriptor of the process before has it by a mark that means no other. */
static void
marks_go_on_after_another_process(void **state)
{
    struct pf_sink first = PF_SINK_STDERR;
    struct pf_sink next = PF_SINK_STDERR;
    struct pf_sink closed = PF_SINK_NOWHERE;

    (void)state;
    pf_sink_succeed(&next, first.mark);
    assert_int_not_equal(next.mark, first.mark);
    first.mark = next.mark;
    pf_sink_succeed(&next, UINT32_MAX); /* wrapped */
    assert_int_not_equal(next.mark, first.mark);
    assert_int_not_equal(next.mark, 0);
    pf_sink_succeed(&closed, first.mark);
    assert_int_equal(closed.mark, 0);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_daemon_is_called_once_in_a_second),
        cmocka_unit_test(native_takes_a_stream_where_there_is_one),
        cmocka_unit_test(a_full_stream_holds_whole_lines),
        cmocka_unit_test(who_is_handed_a_descriptor_writes_to_it),
        cmocka_unit_test(a_renewal_that_fails_changes_nothing),
        cmocka_unit_test(what_cannot_be_opened_is_standard_error),
        cmocka_unit_test(marks_wrap_around),
        cmocka_unit_test(marks_go_on_after_another_process),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
