/* version_wait: a program that accepts by itself, for `handler wait`, and answers "VERSION
 * PID" to each line. Not built on prefork. When SIGTERM comes it finishes the connection
 * that it has. START is what happens when it is started, as for version.c. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "v1"
#endif

static volatile sig_atomic_t is_over;

static void
leave(int signum)
{
    (void)signum;
    is_over = 1;
}

static void
answer(int fd)
{
    char line[64];

    if (read(fd, line, sizeof line) > 0)
        (void)dprintf(fd, VERSION " %d\n", (int)getpid());
    (void)close(fd);
}

int
main(void)
{
    struct pollfd fd = {.fd = 0, .events = POLLIN};
    sigset_t waiting, mask;

#ifdef START
    (void)START;
#endif
    (void)fcntl(0, F_SETFL, O_NONBLOCK); /* others may be faster */
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &mask, &waiting); /* heard where it waits only */
    (void)signal(SIGTERM, leave);
    while (!is_over) {
        int client = ppoll(&fd, 1, NULL, &waiting) > 0 ? accept(0, NULL, NULL) : -1;
        if (client >= 0)
            answer(client);
    }
    return 0;
}
