/* version_wait: a program that accepts by itself, for `handler wait`, and answers "VERSION
 * PID" to each line. Not built on prefork. When SIGTERM comes it finishes the connection
 * that it has. START is what happens when it is started, as for version.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "v1"
#endif

static volatile sig_atomic_t is_busy, is_over;

static void
leave(int signum)
{
    (void)signum;
    if (!is_busy)
        _exit(0);
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
#ifdef START
    (void)START;
#endif
    (void)signal(SIGTERM, leave);
    while (!is_over) {
        int client = accept(0, NULL, NULL);
        is_busy = 1;
        if (client >= 0)
            answer(client);
        is_busy = 0;
    }
    return 0;
}
