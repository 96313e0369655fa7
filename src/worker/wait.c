/* Becoming a program that accepts by itself.
 *
 * The program finds the listening sockets under the three conventions that are in use:
 *
 *   descriptor 0           the first socket (inetd's "wait" services)
 *   LISTEN_FDS, LISTEN_PID  descriptors 3 and up (sd_listen_fds(3))
 *   SERVER_STARTER_PORT    "address=descriptor;..." (Server::Starter)
 *
 * The sockets block, as such programs expect. By NOTIFY_SOCKET it may say READY=1
 * (sd_notify(3)). The channel closes by the exec, which tells the master that it succeeded.
 * From then on the worker is asked to leave by SIGTERM, and is sent one if the master dies.
 */
#include "base/text.h"
#include "os/fd.h"
#include "worker/recipe.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FIRST_FD = 3, /* SD_LISTEN_FDS_START */
    PORTS_BYTES = PF_LISTENERS_MAX * (PF_LISTENER_TEXT_BYTES + 16),
};

static void
try(struct prefork_worker *w, int result)
{
    if (result < 0)
        pf_worker_fail(w, PF_WORKER_EXIT_SETUP, errno);
}

/* Everything that is in the way of descriptors 3 and up moves above them. */
static void
move_away(struct prefork_worker *w, int fds[], unsigned count)
{
    const int above = FIRST_FD + (int)count;

    for (unsigned i = 0; i < count; i++) {
        fds[i] = fcntl(w->heritage.listeners->table[i].fd, F_DUPFD_CLOEXEC, above);
        try(w, fds[i]);
    }
    if (w->heritage.channel < above) {
        int fd = fcntl(w->heritage.channel, F_DUPFD_CLOEXEC, above);
        try(w, fd);
        (void)close(w->heritage.channel);
        w->heritage.channel = fd;
    }
}

static void
place(struct prefork_worker *w, const int fds[], unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        int fd = FIRST_FD + (int)i;
        try(w, dup2(fds[i], fd)); /* clears close-on-exec */
        try(w, pf_fd_set_nonblock(fd, false));
    }
    if (count > 0)
        try(w, dup2(fds[0], STDIN_FILENO));
}

static void
describe(struct prefork_worker *w, unsigned count)
{
    static char ports_bytes[PORTS_BYTES];
    struct pf_text ports;
    char number[16];

    pf_text_init(&ports, ports_bytes, sizeof ports_bytes);
    for (unsigned i = 0; i < count; i++)
        pf_text_add(&ports, "%s%s=%u", i > 0 ? ";" : "",
                    w->heritage.listeners->table[i].address, FIRST_FD + i);
    try(w, setenv("SERVER_STARTER_PORT", ports.bytes, 1));
    (void)snprintf(number, sizeof number, "%u", count);
    try(w, setenv("LISTEN_FDS", number, 1));
    (void)snprintf(number, sizeof number, "%d", (int)getpid());
    try(w, setenv("LISTEN_PID", number, 1));
    if (w->heritage.notify[0] != '\0')
        try(w, setenv("NOTIFY_SOCKET", w->heritage.notify, 1));
}

PF_NORETURN void
pf_wait_become(struct prefork_worker *w)
{
    const struct pf_recipe *recipe = w->heritage.recipe;
    unsigned count = w->heritage.listeners->count;
    int fds[PF_LISTENERS_MAX];

    move_away(w, fds, count);
    place(w, fds, count);
    describe(w, count);
    (void)execv(recipe->program, recipe->program_argv);
    pf_worker_fail(w, PF_WORKER_EXIT_EXEC, errno);
}
