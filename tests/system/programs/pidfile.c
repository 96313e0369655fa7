/* pidfile: the public calls about a pid file, from a program that is no server.
 *
 *     pidfile check PATH              "OUTCOME PID: sentence"
 *     pidfile kill PATH SECONDS       the same, without a pid
 *     pidfile reload PATH SECONDS     likewise, and waits for its end
 *     pidfile watch PATH              check until standard input ends; how often and, of
 *                                     those, how often a server was seen */
#include <prefork/prefork.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
check(const char *path)
{
    char text[512];
    pid_t pid = 0;
    int r = prefork_check_pidfile(path, &pid, text, sizeof text);

    (void)printf("%d %d: %s\n", r, (int)pid, text);
    return 0;
}

static int
watch(const char *path)
{
    unsigned long seen = 0;
    unsigned long times = 0;
    char byte;

    (void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    while (read(STDIN_FILENO, &byte, 1) != 0) {
        times++;
        if (prefork_check_pidfile(path, NULL, NULL, 0) == PREFORK_PIDFILE_RUNNING)
            seen++;
    }
    (void)printf("%lu %lu\n", times, seen);
    return 0;
}

int
main(int argc, char **argv)
{
    char text[512];
    int r;

    if (argc == 3 && strcmp(argv[1], "check") == 0)
        return check(argv[2]);
    if (argc == 3 && strcmp(argv[1], "watch") == 0)
        return watch(argv[2]);
    if (strcmp(argv[1], "reload") == 0)
        r = prefork_reload_running(argv[2], true, atof(argv[3]), text, sizeof text);
    else
        r = prefork_kill_running(argv[2], false, atof(argv[3]), text, sizeof text);
    (void)printf("%d: %s\n", r, text);
    return 0;
}
