/* What we rely on the kernel for. A surprise shows here first. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "os/share.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

enum {
    WAIT_MS = 30000, /* for what must come */
    NEVER_MS = 20,   /* for what must not */
};

static int
open_listener(struct sockaddr_in *ret_address)
{
    socklen_t bytes = sizeof *ret_address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    *ret_address = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)ret_address, sizeof *ret_address), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret_address, &bytes), 0);
    return fd;
}

/* The connection, or a negative errno. */
static int
connect_to(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (const struct sockaddr *)address, sizeof *address) < 0) {
        int errnum = errno;
        (void)close(fd);
        return -errnum;
    }
    return fd;
}

static bool
is_readable(int fd, int milliseconds)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, milliseconds) == 1;
}

static int
end_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* A fault is to end this child silently, under a sanitizer too. */
static void
die_of_faults(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
}

/* ---- listeners
 * ----------------------------------------------------------------------------- */

/* A process in epoll_wait(2) on the listener; a byte in the pipe: it was woken. */
static pid_t
start_sleeper(int listener, int told)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = epoll_create1(EPOLL_CLOEXEC);
        if (epoll_ctl(fd, EPOLL_CTL_ADD, listener, &event) == 0 &&
            epoll_wait(fd, &event, 1, -1) == 1)
            (void)!write(told, event.events & EPOLLHUP ? "h" : "i", 1);
        for (;;)
            (void)pause();
    }
    return pid;
}

/* Until it sleeps: that is the only place where it does. */
static void
await_sleep(pid_t pid)
{
    char path[64];
    char line[256] = "";

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    do {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = read(fd, line, sizeof line - 1);
        (void)close(fd);
        assert_true(n > 0);
        line[n] = '\0';
        (void)sched_yield();
    } while (strncmp(strrchr(line, ')'), ") S", 3) != 0);
}

static void
stop_sleepers(const pid_t *pids, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        (void)kill(pids[i], SIGKILL);
        (void)end_of(pids[i]);
    }
}

static void
one_connection_wakes_one_waiter(void **state)
{
    struct sockaddr_in address;
    int listener = open_listener(&address);
    pid_t sleepers[2];
    int told[2];
    char byte;
    int client;

    (void)state;
    assert_int_equal(pipe(told), 0);
    for (unsigned i = 0; i < 2; i++)
        sleepers[i] = start_sleeper(listener, told[1]);
    for (unsigned i = 0; i < 2; i++)
        await_sleep(sleepers[i]);
    client = connect_to(&address);
    assert_true(client >= 0);
    assert_true(is_readable(told[0], WAIT_MS));
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(byte, 'i');
    assert_false(is_readable(told[0], NEVER_MS));
    stop_sleepers(sleepers, 2);
    (void)close(client);
    (void)close(listener);
    (void)close(told[0]);
    (void)close(told[1]);
}

static void
shutdown_of_a_listener_refuses_and_wakes(void **state)
{
    struct sockaddr_in address;
    int listener = open_listener(&address);
    pid_t sleeper;
    int told[2];
    char byte;

    (void)state;
    assert_int_equal(pipe(told), 0);
    sleeper = start_sleeper(listener, told[1]);
    await_sleep(sleeper);
    assert_int_equal(shutdown(listener, SHUT_RDWR), 0);
    assert_true(is_readable(told[0], WAIT_MS));
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(byte, 'h');
    assert_int_equal(accept(listener, NULL, NULL), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(connect_to(&address), -ECONNREFUSED); /* although it is open still */
    stop_sleepers(&sleeper, 1);
    (void)close(listener);
    (void)close(told[0]);
    (void)close(told[1]);
}

static void
a_listener_tells_the_length_of_its_queue(void **state)
{
    struct sockaddr_in address;
    int listener = open_listener(&address);
    int clients[3];

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct tcp_info info = {0};
        socklen_t bytes = sizeof info;
        clients[i] = connect_to(&address);
        assert_true(clients[i] >= 0);
        assert_true(is_readable(listener, WAIT_MS));
        assert_int_equal(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &bytes), 0);
        assert_int_equal(info.tcpi_state, TCP_LISTEN);
        assert_int_equal(info.tcpi_unacked, i + 1);
    }
    for (unsigned i = 0; i < 3; i++)
        (void)close(clients[i]);
    (void)close(listener);
}

/* ---- memory
 * --------------------------------------------------------------------------------- */

static char *
map_page(int flags)
{
    char *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
                      flags | MAP_ANONYMOUS, -1, 0);

    assert_true(page != MAP_FAILED);
    return page;
}

static void
a_page_can_be_kept_from_children(void **state)
{
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    char *page = map_page(MAP_SHARED);
    int status;
    pid_t pid;

    (void)state;
    assert_int_equal(madvise(page, bytes, MADV_DONTFORK), 0);
    pid = fork();
    if (pid == 0) {
        die_of_faults();
        *(volatile char *)page = 1;
        _exit(0);
    }
    status = end_of(pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    assert_int_equal(*page, 0);
    (void)munmap(page, bytes);
}

/* A mapping that is sealed cannot grow over what follows it in its object. Kernels before
 * 6.10 have no mseal(2). */
static void
a_sealed_page_does_not_grow(void **state)
{
    struct pf_share_pages pages;
    size_t bytes = pf_share_page_bytes();
    int status;
    pid_t pid;

    (void)state;
    assert_int_equal(pf_share_pages_open(&pages, 2), 0);
    pid = fork();
    if (pid == 0) {
        char *page = pf_share_page_claim(pages.fd, 0);
        bool sealed = syscall(SYS_mseal, page, bytes, 0UL) == 0;
        _exit(sealed && mremap(page, bytes, 2 * bytes, MREMAP_MAYMOVE) != MAP_FAILED);
    }
    status = end_of(pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    pf_share_pages_close(&pages);
}

/* ---- processes
 * -------------------------------------------------------------------------------- */

static void
exec_closes_the_channel(void **state)
{
    char program[] = "/bin/cat";
    char *argv[] = {program, NULL};
    int gate[2];
    int ends[2];
    char byte;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(gate), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    pid = fork();
    if (pid == 0) {
        (void)dup2(gate[0], STDIN_FILENO);
        (void)close(gate[1]);
        (void)execv(program, argv);
        _exit(127);
    }
    (void)close(ends[1]);
    (void)close(gate[0]);
    assert_true(is_readable(ends[0], WAIT_MS));
    assert_int_equal(recv(ends[0], &byte, 1, 0), 0);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it lives: it was the exec */
    (void)close(gate[1]);
    assert_int_equal(end_of(pid), 0);
    (void)close(ends[0]);
}

static void
a_pidfd_is_readable_at_the_end_and_not_before(void **state)
{
    int gate[2];
    int fd;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(gate), 0);
    pid = fork();
    if (pid == 0) {
        char byte;
        (void)close(gate[1]);
        _exit((int)read(gate[0], &byte, 1));
    }
    fd = pidfd_open(pid, 0);
    assert_true(fd >= 0);
    assert_false(is_readable(fd, 0));
    (void)close(gate[0]);
    (void)close(gate[1]);
    assert_true(is_readable(fd, WAIT_MS));
    assert_int_equal(end_of(pid), 0);
    assert_true(is_readable(fd, 0)); /* after it was reaped, too */
    (void)close(fd);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_connection_wakes_one_waiter),
        cmocka_unit_test(shutdown_of_a_listener_refuses_and_wakes),
        cmocka_unit_test(a_listener_tells_the_length_of_its_queue),
        cmocka_unit_test(a_page_can_be_kept_from_children),
        cmocka_unit_test(a_sealed_page_does_not_grow),
        cmocka_unit_test(exec_closes_the_channel),
        cmocka_unit_test(a_pidfd_is_readable_at_the_end_and_not_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
