/* clang-format off */
/* pool: does to its pool what its clients tell it. One line is one wish:
 *
 *     pid        the answer is "PID is here"
 *     hold       answers "PID holds", waits for one more line, answers "PID done"
 *     stubborn   does not hear SIGTERM from here on: "PID is stubborn", then nothing
 *     crash      dies of SIGABRT
 *     exit       calls exit(3)
 *     full       uses up its descriptors and keeps them: "PID is full"
 *     chatter    "PID talks", then write(2) until that fails for good (after the reset of a
 *                connection comes EPIPE): logs the errno, goes on
 *     false N    sends SIGCHLD to process N, as if it had ended: "PID lies"
 *
 * and from the environment, all of them paths:
 *
 *     POOL_GATE     child_init_hook waits while somebody locks this file (flock(2))
 *     POOL_SICK     child_init_hook refuses while this exists
 *     POOL_ABORT    child_init_hook dies of SIGABRT while this exists
 *     POOL_STRANGLE register_child kills what was just born while this exists
 *     POOL_FOREIGN  a child of the program's own; its pid is written there
 *     POOL_THIEF    pre_fork_hook removes this file, if there is one, and waits for any child
 *     POOL_BIRTHS   register_child appends "NANOSECONDS PID"
 *     POOL_ENDS     cleanup_dead_child_hook appends "PID STATUS REQUESTS"
 *     POOL_FINISH   child_finish_hook appends "PID" */
/* clang-format on */
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool is_full; /* this worker shall have no descriptor left */

static void append(const char *variable, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
append(const char *variable, const char *format, ...)
{
    const char *path = getenv(variable);
    char line[128];
    va_list args;
    int length;
    int fd;

    if (!path)
        return;
    va_start(args, format);
    length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, line, (size_t)length) != length)
        prefork_log(PREFORK_LOG_ERROR, "%s: %s", path, strerror(errno));
    (void)close(fd);
}

static bool
exists(const char *variable)
{
    const char *path = getenv(variable);

    return path && access(path, F_OK) == 0;
}

static void
pass_gate(void)
{
    const char *path = getenv("POOL_GATE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    while (flock(fd, LOCK_SH) < 0 && errno == EINTR)
        continue;
    (void)close(fd);
}

static int
init(struct prefork_worker *w, void *data)
{
    (void)w;
    (void)data;
    if (exists("POOL_ABORT"))
        abort();
    pass_gate();
    return exists("POOL_SICK");
}

static int
keep_foreign_child(void *data)
{
    pid_t pid;

    (void)data;
    if (!getenv("POOL_FOREIGN"))
        return 0;
    pid = fork();
    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    append("POOL_FOREIGN", "%d\n", (int)pid);
    return 0;
}

static void
steal(enum prefork_kind kind, void *data)
{
    const char *path = getenv("POOL_THIEF");

    (void)kind;
    (void)data;
    if (path && unlink(path) == 0)
        prefork_log(PREFORK_LOG_NOTICE, "took %d", (int)wait(NULL));
}

static void
born(pid_t pid, enum prefork_kind kind, void *data)
{
    struct timespec now;

    (void)kind;
    (void)data;
    if (exists("POOL_STRANGLE"))
        (void)kill(pid, SIGKILL);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    append("POOL_BIRTHS", "%lld %d\n", now.tv_sec * 1000000000LL + now.tv_nsec, (int)pid);
}

static void
ended(const struct prefork_child *child, void *data)
{
    (void)data;
    append("POOL_ENDS", "%d %d %lu\n", (int)child->pid, child->wait_status,
           child->requests);
}

static void
finish(struct prefork_worker *w, void *data)
{
    (void)w;
    (void)data;
    append("POOL_FINISH", "%d\n", (int)getpid());
}

static void
hold(struct prefork_conn *c)
{
    char line[64];

    (void)prefork_printf(c, "%d holds\n", (int)getpid());
    (void)prefork_gets(c, line, sizeof line);
    (void)prefork_printf(c, "%d done\n", (int)getpid());
}

static void
be_stubborn(struct prefork_conn *c)
{
    sigset_t all;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, NULL);
    (void)prefork_printf(c, "%d is stubborn\n", (int)getpid());
    for (;;)
        (void)pause();
}

/* After the connection is closed, for its descriptor is one more. */
static void
use_up_descriptors(struct prefork_worker *w, void *data)
{
    (void)w;
    (void)data;
    while (is_full && dup(STDERR_FILENO) >= 0)
        continue;
}

static void
chatter(struct prefork_conn *c)
{
    (void)prefork_printf(c, "%d talks\n", (int)getpid());
    while (write(prefork_fd(c), "blah\n", 5) > 0 || errno == ECONNRESET)
        continue;
    prefork_log(PREFORK_LOG_NOTICE, "%d is not heard: %s", (int)getpid(),
                strerrorname_np(errno));
}

static void
serve(struct prefork_conn *c, void *data)
{
    char line[64];

    (void)data;
    if (prefork_gets(c, line, sizeof line) <= 0)
        return;
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "pid") == 0)
        (void)prefork_printf(c, "%d is here\n", (int)getpid());
    else if (strcmp(line, "hold") == 0)
        hold(c);
    else if (strcmp(line, "stubborn") == 0)
        be_stubborn(c);
    else if (strcmp(line, "crash") == 0)
        abort();
    else if (strcmp(line, "exit") == 0)
        exit(3);
    else if (strcmp(line, "full") == 0)
        is_full = prefork_printf(c, "%d is full\n", (int)getpid()) == 0;
    else if (strcmp(line, "chatter") == 0)
        chatter(c);
    else if (strncmp(line, "false ", 6) == 0 && kill(atoi(line + 6), SIGCHLD) == 0)
        (void)prefork_printf(c, "%d lies\n", (int)getpid());
}

int
main(int argc, char **argv)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    return prefork_main(argc, argv,
                        &(struct prefork_app){
                            .name = "pool",
                            .pre_loop_hook = keep_foreign_child,
                            .pre_fork_hook = steal,
                            .register_child = born,
                            .cleanup_dead_child_hook = ended,
                            .child_init_hook = init,
                            .child_finish_hook = finish,
                            .process_request = serve,
                            .post_client_connection_hook = use_up_descriptors,
                        });
}
