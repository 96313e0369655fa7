/* hand_in: start a program with sockets as a service manager does.
 *
 *     hand_in FD,FD,... program argument ...
 *
 * Moves these descriptors to 3 and up, sets LISTEN_FDS unless it is set, and LISTEN_PID,
 * and becomes the program. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
    char number[16];
    char *next = argc > 2 ? argv[1] : "";
    int count = 0;

    while (*next >= '0' && *next <= '9') {
        int fd = (int)strtol(next, &next, 10);
        if (dup2(fd, 3 + count++) < 0)
            return 1;
        (void)close(fd);
        next += *next == ',';
    }
    (void)snprintf(number, sizeof number, "%d", count);
    (void)setenv("LISTEN_FDS", number, 0);
    (void)snprintf(number, sizeof number, "%d", (int)getpid());
    (void)setenv("LISTEN_PID", number, 1);
    (void)execv(argv[2], argv + 2);
    return 1;
}
