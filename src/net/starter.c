/* Sockets that start_server(1) opened before it started us.
 *
 * SERVER_STARTER_PORT has an entry for each socket, "address=descriptor", with semicolons
 * between them. The address is what start_server was told, which may be a port alone, and
 * says neither TCP nor UDP: so only the descriptor counts, and what it is says the kernel
 * (net/given.c).
 *
 * Nothing in this protocol names the process that is meant. So the variable goes at once:
 * programs that are started later must not take the sockets for theirs. (To programs that
 * accept by themselves the server says anew what they have.) SERVER_STARTER_GENERATION
 * names no descriptor and stays, for programs that start slowly when there was a server
 * before them.
 *
 * Somebody may hand in the same sockets by LISTEN_FDS as well, as this server does for its
 * programs; they are taken once.
 *
 * Deliberately absent: the way back to start_server. It takes a server that lives for its
 * interval as started, and then asks the one before to leave by SIGTERM, like anybody. */
#include "net/starter.h"

#include "base/text.h"
#include "net/given.h"
#include "os/fd.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORTS      "SERVER_STARTER_PORT"
#define GENERATION "SERVER_STARTER_GENERATION"

/* The number behind the last = of an entry. */
static int
read_entry(const char *entry, int *ret_fd, struct pf_error *error)
{
    const char *equals = strrchr(entry, '=');
    uint64_t number = 0;

    if (!equals || pf_text_number(equals + 1, &number) < 0 || number > INT_MAX)
        return pf_error_set(
            error, PREFORK_EXIT_CONFIG, EINVAL,
            "environment variable " PORTS ": \"%.80s\" is not address=descriptor", entry);
    *ret_fd = (int)number;
    return 0;
}

static bool
has(const struct pf_listeners *ls, int fd)
{
    for (unsigned i = 0; i < ls->count; i++) {
        if (ls->table[i].fd == fd)
            return true;
    }
    return false;
}

/* Descriptors 0 to 2 are not the server's own: what it starts gets others there. */
static int
move_up(int *fd)
{
    int moved = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int null = moved < 0 ? -errno : pf_fd_open_null();
    int r = null < 0 ? null : dup2(null, *fd) < 0 ? -errno : 0;

    if (null >= 0)
        pf_fd_close(&null);
    if (r < 0 && moved >= 0)
        pf_fd_close(&moved);
    if (r == 0)
        *fd = moved;
    return r;
}

static int
take_over(struct pf_listeners *ls, int fd, struct pf_error *error)
{
    struct pf_listener l = {.fd = fd, .inherited = true};
    int e;

    if (has(ls, fd))
        return 0;
    e = pf_given_learn(&l, PORTS, error);
    if (e == 0 && fd <= STDERR_FILENO) {
        e = move_up(&l.fd);
        if (e < 0)
            return pf_error_set(error, PREFORK_EXIT_SYSTEM, -e,
                                PORTS ": descriptor %d cannot be moved: %s", fd,
                                strerror(-e));
    }
    if (e == 0 && !pf_listeners_add(ls, &l))
        e = pf_error_set(error, PREFORK_EXIT_CONFIG, ENOSPC,
                         PORTS ": more than %d listening sockets", PF_LISTENERS_MAX);
    return e;
}

static int
take_all(struct pf_listeners *ls, char *entries, struct pf_error *error)
{
    char *rest = entries;
    char *entry;
    int e = 0;

    while (e == 0 && (entry = strsep(&rest, ";"))) {
        int fd = -1;
        e = read_entry(entry, &fd, error);
        if (e == 0)
            e = take_over(ls, fd, error);
    }
    return e;
}

int
pf_starter_ports(struct pf_listeners *ls, struct pf_error *error)
{
    const unsigned before = ls->count;
    const char *ports = getenv(PORTS);
    char *entries;
    int e = 0;

    if (!ports)
        return 0;
    entries = pf_text_copy(ports);
    (void)unsetenv(PORTS); /* fails only for names that are none */
    if (!entries)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, ENOMEM, PORTS ": out of memory");
    if (entries[0] != '\0') /* start_server without a port */
        e = take_all(ls, entries, error);
    free(entries);
    if (e < 0) {
        ls->count = before;
        return e;
    }
    return (int)(ls->count - before);
}

unsigned
pf_starter_generation(void)
{
    const char *text = getenv(GENERATION);
    uint64_t number = 0;

    if (!text || pf_text_number(text, &number) < 0 || number > UINT_MAX)
        return 0;
    return (unsigned)number;
}
