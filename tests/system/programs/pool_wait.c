/* pool_wait: a program that accepts by itself on descriptor 0, and speaks two of the words
 * of pool.c, "pid" and "hold". SIGTERM is heard only where it waits for a connection, as
 * in any careful server: what it accepted it serves. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t stopping;

static void
stop(int signum)
{
    (void)signum;
    stopping = 1;
}

static void
serve(int fd)
{
    char line[64] = "";

    if (read(fd, line, sizeof line - 1) > 0 && strcmp(line, "hold\n") == 0) {
        dprintf(fd, "%d holds\n", (int)getpid());
        if (read(fd, line, sizeof line - 1) >= 0)
            dprintf(fd, "%d done\n", (int)getpid());
    } else {
        dprintf(fd, "%d is here\n", (int)getpid());
    }
    close(fd);
}

int
main(void)
{
    struct pollfd door = {.fd = 0, .events = POLLIN};
    sigset_t term;
    sigset_t none;

    (void)fcntl(0, F_SETFL, O_NONBLOCK); /* somebody else may be faster */
    sigemptyset(&none);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = stop}, NULL);
    while (!stopping) {
        int fd = -1;
        if (ppoll(&door, 1, NULL, &none) == 1)
            fd = accept4(0, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve(fd);
    }
    return 0;
}
