/* children: workers with a socket and a loop of their own, as those who come from
 * SHARYANTO::Proc::Daemon::Prefork have them. The socket is a unix one at CHILDREN_SOCKET.
 * One line is one wish:
 *
 *     pid     the answer is "PID is here"
 *     hold    answers "PID holds", waits for one more line, answers "PID done", and logs it
 *             if nobody is there to hear that
 *
 * CHILDREN_BIRTHS is a file to which each birth is appended: "NANOSECONDS PID". */
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int listener = -1;

static int
listen_there(void *data)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("CHILDREN_SOCKET");

    (void)data;
    if (!path || strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (void *)&address, sizeof address) < 0)
        return -1;
    return listen(listener, 128);
}

static void
serve(FILE *client)
{
    char line[64] = "";

    if (!fgets(line, sizeof line, client))
        return;
    if (strcmp(line, "hold\n") != 0) {
        (void)fprintf(client, "%d is here\n", (int)getpid());
        return;
    }
    (void)fprintf(client, "%d holds\n", (int)getpid());
    (void)fflush(client);
    (void)fgets(line, sizeof line, client);
    (void)fprintf(client, "%d done\n", (int)getpid());
    if (fflush(client) != 0)
        prefork_log(PREFORK_LOG_NOTICE, "%d is not heard: %s", (int)getpid(),
                    strerrorname_np(errno));
}

static void
loop(struct prefork_worker *w, void *data)
{
    (void)data;
    while (prefork_wait(w, listener, -1) == 1) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        FILE *client = fd < 0 ? NULL : fdopen(fd, "r+");
        if (!client)
            continue; /* somebody else was faster */
        prefork_busy(w);
        serve(client);
        (void)fclose(client);
        prefork_idle(w);
    }
}

static void
born(pid_t pid, enum prefork_kind kind, void *data)
{
    const char *path = getenv("CHILDREN_BIRTHS");
    FILE *file = path ? fopen(path, "ae") : NULL;
    struct timespec now;

    (void)kind;
    (void)data;
    if (!file)
        return;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)fprintf(file, "%lld %d\n", now.tv_sec * 1000000000LL + now.tv_nsec, (int)pid);
    (void)fclose(file);
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "children",
                                              .after_init = listen_there,
                                              .register_child = born,
                                              .main_loop = loop});
}
