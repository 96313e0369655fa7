/* gone: whose clients go. on_client_disconnect appends to the file GONE_LOG
 *
 *     NANOSECONDS PID SLOT PROTO LOCAL_HOST LOCAL_PORT FOREIGN_HOST FOREIGN_PORT
 *
 * with - for what is empty, and the clock is CLOCK_MONOTONIC at the first line of the hook.
 * A client sends one word; the answer is "PID WORD", and then
 *
 *     hold     the worker waits while somebody locks the file GONE_GATE (flock(2))
 *     quick    that was all
 *     again    the worker waits as with hold, and then answers "PID still here"
 *     read     it reads to the end of the input, however long that takes, and then waits
 *     shut     it shuts the connection down in both directions first, and then waits
 *     shutread, shutwrite   likewise one direction
 *     leave    a child of it keeps the connection while the gate is shut
 *
 * GONE_SLOW: register_child waits for the gate of this name as well: nobody is looked
 * after meanwhile. GONE_NO_HOOK: there is no on_client_disconnect. */
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int log_fd = -1;
static int gate_fd = -1;

static void
pass_gate(const char *path)
{
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    while (flock(fd, LOCK_SH) < 0 && errno == EINTR)
        continue;
    (void)close(fd);
}

static const char *
word(const char *text)
{
    return text[0] != '\0' ? text : "-";
}

static void
gone(const struct prefork_disconnect *g, void *data)
{
    char line[512];
    struct timespec now;
    int length;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)data;
    length = snprintf(line, sizeof line, "%lld %d %u %s %s %u %s %u\n",
                      now.tv_sec * 1000000000LL + now.tv_nsec, (int)g->pid, g->slot,
                      g->proto, word(g->local_host), g->local_port, word(g->foreign_host),
                      g->foreign_port);
    if (write(log_fd, line, (size_t)length) != length)
        prefork_log(PREFORK_LOG_ERROR, "GONE_LOG: %s", strerror(errno));
    pass_gate(getenv("GONE_SLOW"));
}

/* As long as there are paths. */
static int
open_files(struct prefork *p, void *data)
{
    (void)p;
    (void)data;
    if (getenv("GONE_LOG"))
        log_fd = open(getenv("GONE_LOG"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (getenv("GONE_GATE"))
        gate_fd = open(getenv("GONE_GATE"), O_RDONLY | O_CLOEXEC);
    return 0;
}

/* Locks belong to what was opened, so each process opens it anew, wherever it is. */
static void
wait_at_gate(void)
{
    char path[32];

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", gate_fd);
    if (access(path, F_OK) == 0)
        pass_gate(path);
    else
        (void)pause(); /* in a root directory without it */
}

static void
leave_child(struct prefork_conn *c)
{
    pid_t pid = fork();

    if (pid == 0) {
        (void)signal(SIGTERM, SIG_DFL);
        wait_at_gate();
        _exit(0);
    }
    (void)prefork_printf(c, "%d left\n", (int)pid);
}

static void
serve(struct prefork_conn *c, void *data)
{
    char line[64] = "";
    char rest[4096];

    (void)data;
    (void)prefork_gets(c, line, sizeof line);
    line[strcspn(line, "\n")] = '\0';
    (void)prefork_printf(c, "%d %s\n", (int)getpid(), line);
    if (strcmp(line, "quick") == 0)
        return;
    if (strcmp(line, "leave") == 0) {
        leave_child(c);
        return;
    }
    if (strcmp(line, "shut") == 0)
        (void)shutdown(prefork_fd(c), SHUT_RDWR);
    if (strcmp(line, "shutread") == 0)
        (void)shutdown(prefork_fd(c), SHUT_RD);
    if (strcmp(line, "shutwrite") == 0)
        (void)shutdown(prefork_fd(c), SHUT_WR);
    while (strcmp(line, "read") == 0 && prefork_read(c, rest, sizeof rest) > 0)
        continue;
    wait_at_gate();
    if (strcmp(line, "again") == 0)
        (void)prefork_printf(c, "%d still here\n", (int)getpid());
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){
                            .name = "gone",
                            .post_bind_hook = open_files,
                            .on_client_disconnect = getenv("GONE_NO_HOOK") ? NULL : gone,
                            .process_request = serve,
                        });
}
