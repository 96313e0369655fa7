/* Giving birth to a master.
 *
 * The first one is forked and goes on with the start. Each later one is started as the
 * first was, with the arguments and the environment of that time, and with the descriptors
 * of the last one, in the way in which a service manager hands back what it stored:
 * LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES. It cannot tell the one from the other but by
 * PREFORK_KEEPER.
 *
 * It is executed by descriptor: what the last master was is started again, even if its path
 * leads to something else by now. All tables are made at the start, when a lack of memory
 * is still a sentence for a person. */
#include "keeper/next.h"

#include "os/fd.h"
#include "os/image.h"
#include "os/memory.h"
#include "os/notify.h"
#include "os/signal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ADDED_MAX = 5, /* variables, of which each is said once at most */
    NUMBER_BYTES = 48,
    STATES_BYTES = 2 * PF_SHELF_NAME_BYTES, /* which always have room */
};

#define NAMES "LISTEN_FDNAMES="

static const char variable_of_keeper[] = PF_NEXT_KEEPER "=";

/* Said anew to each master, or not at all. */
static bool
is_said_anew(const char *variable)
{
    static const char *const names[] = {"LISTEN_PID=", "LISTEN_FDS=", NAMES,
                                        "WATCHDOG_PID=", variable_of_keeper};

    for (size_t i = 0; i < PF_COUNT(names); i++) {
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    }
    return false;
}

static unsigned
count_environment(void)
{
    unsigned count = 0;

    while (environ && environ[count])
        count++;
    return count;
}

int
pf_next_open(struct pf_next *n)
{
    unsigned count = count_environment();

    *n = (struct pf_next){
        .arguments = pf_image_here()->argv,
        .capacity = count + ADDED_MAX + 1,
        .names_bytes = sizeof NAMES + PF_SHELF_NAMES_MAX + STATES_BYTES,
    };
    n->environment = pf_memory_new(n->capacity * sizeof *n->environment);
    n->names = pf_memory_new(n->names_bytes);
    if (!n->arguments || !n->environment || !n->names) {
        pf_next_close(n);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!is_said_anew(environ[i]))
            n->environment[n->kept++] = environ[i];
    }
    return 0;
}

void
pf_next_close(struct pf_next *n)
{
    pf_memory_free(n->environment, n->capacity * sizeof *n->environment);
    pf_memory_free(n->names, n->names_bytes);
    n->environment = NULL;
    n->names = NULL;
}

static int
move_up(int *fd, int lowest)
{
    int moved = fcntl(*fd, F_DUPFD_CLOEXEC, lowest);
    int r = moved < 0 ? -errno : 0;

    pf_fd_close(fd);
    *fd = moved < 0 ? -1 : moved;
    return r;
}

int
pf_next_socket(int lowest, int *ret_ours, int *ret_its)
{
    int ends[2];
    int r;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    r = move_up(&ends[0], lowest);
    if (r == 0)
        r = move_up(&ends[1], lowest);
    if (r < 0) {
        pf_fd_close(&ends[0]);
        pf_fd_close(&ends[1]);
        return r;
    }
    *ret_ours = ends[0];
    *ret_its = ends[1];
    return 0;
}

/* The service manager names the process that it knows, and the loop that answers is here
 * now. */
static void
take_watchdog(void)
{
    const char *text = getenv("WATCHDOG_PID");
    char number[NUMBER_BYTES];

    if (!text || strtoll(text, NULL, 10) != (long long)getppid())
        return;
    (void)snprintf(number, sizeof number, "%d", (int)getpid());
    (void)setenv("WATCHDOG_PID", number, 1); /* without memory: no sign of life is sent */
}

void
pf_next_birth(void)
{
    pf_process_lead_group();
    pf_signal_forget();
    take_watchdog();
}

static void
say(struct pf_next *n, unsigned *used, char *variable)
{
    n->environment[(*used)++] = variable;
    n->environment[*used] = NULL;
}

/* All that is said anew. In the child, whose own number is part of it. */
static void
execute(struct pf_next *n, int exe, int count, int socket)
{
    char pid[NUMBER_BYTES];
    char watchdog[NUMBER_BYTES];
    char fds[NUMBER_BYTES];
    char keeper[NUMBER_BYTES];
    unsigned used = n->kept;

    (void)snprintf(pid, sizeof pid, "LISTEN_PID=%d", (int)getpid());
    (void)snprintf(watchdog, sizeof watchdog, "WATCHDOG_PID=%d", (int)getpid());
    (void)snprintf(fds, sizeof fds, "LISTEN_FDS=%d", count);
    (void)snprintf(keeper, sizeof keeper, PF_NEXT_KEEPER "=%d", socket);
    say(n, &used, pid);
    say(n, &used, watchdog); /* means nothing unless there is a watchdog */
    say(n, &used, fds);
    say(n, &used, n->names);
    say(n, &used, keeper);
    (void)execveat(exe, "", n->arguments, n->environment, AT_EMPTY_PATH);
}

PF_NORETURN static void
become_master(struct pf_next *n, const struct pf_shelf *shelf, int exe, int socket)
{
    char text[NUMBER_BYTES];
    int count = pf_shelf_spread(shelf);
    int place = PF_SHELF_FIRST + count;

    pf_process_lead_group();
    if (count >= 0 && dup2(socket, place) >= 0) {
        pf_signal_forget();
        pf_fd_limit_restore();
        execute(n, exe, count, place);
    }
    (void)snprintf(text, sizeof text, "ERRNO=%d\n", errno);
    (void)pf_notify_send(socket, text);
    pf_process_exit(EXIT_FAILURE);
}

int
pf_next_start(struct pf_next *n, const struct pf_shelf *shelf, int exe, int socket,
              struct pf_process *ret_master)
{
    size_t prefix = sizeof NAMES - 1;
    int r;

    memcpy(n->names, NAMES, prefix);
    if (!pf_shelf_names(shelf, n->names + prefix, n->names_bytes - prefix))
        return -ENOSPC;
    r = pf_process_fork_watched(ret_master);
    if (r == 0)
        become_master(n, shelf, exe, socket);
    return r < 0 ? r : 0;
}
