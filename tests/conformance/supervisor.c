/* supervisor: says every hook of supervision, and lets clients use what a worker can say to
 * its master. One line is one wish:
 *
 *     pid           who serves
 *     parent LINE   LINE to parent_read_hook: the result
 *     talk LINE     LINE to child_is_talking_hook, which answers "heard LINE": the answer
 *     done          leave after this connection
 *     fd            descriptors 0 and 1 are the connection: 1, else 0
 *
 * Each hook logs "hook NAME arguments". From the environment: SUPERVISOR_FOREIGN, the
 * master starts a child of its own, which ends with status 7, "before the loop" or
 * whenever it comes to it; SUPERVISOR_GATE, a file: while it is locked (flock(2)) dequeue
 * processes wait; SUPERVISOR_LOG, a file to which write_to_log_hook appends. */
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAY(...) prefork_log(PREFORK_LOG_NOTICE, "hook " __VA_ARGS__)

static const char *
name_of(enum prefork_kind kind)
{
    return kind == PREFORK_KIND_DEQUEUE ? "dequeue" : "worker";
}

/* ---- in the master --- */

static int
start_foreign_child(void *data)
{
    const char *how = getenv("SUPERVISOR_FOREIGN");
    pid_t pid = how ? fork() : -1;
    siginfo_t unused;

    (void)data;
    if (pid == 0)
        _exit(7);
    if (pid > 0 && strcmp(how, "before the loop") == 0)
        (void)waitid(P_PID, (id_t)pid, &unused, WEXITED | WNOWAIT);
    return 0;
}

static void
before_fork(enum prefork_kind kind, void *data)
{
    (void)data;
    SAY("pre_fork_hook %s", name_of(kind));
}

static void
born(pid_t pid, enum prefork_kind kind, void *data)
{
    (void)data;
    SAY("register_child %d %s", (int)pid, name_of(kind));
}

static void
ended(const struct prefork_child *child, void *data)
{
    (void)data;
    SAY("cleanup_dead_child_hook %d %s", (int)child->pid, name_of(child->kind));
}

static void
deleted(pid_t pid, void *data)
{
    (void)data;
    SAY("delete_child_hook %d", (int)pid);
}

static void
other_died(pid_t pid, int wait_status, void *data)
{
    (void)data;
    SAY("other_child_died_hook %d %d", (int)pid, WEXITSTATUS(wait_status));
}

static void
before_replacing(void *data)
{
    (void)data;
    SAY("restart_close_hook");
}

static void
replacing(void *data)
{
    (void)data;
    SAY("restart_open_hook");
}

static bool
hear_line(pid_t pid, const char *line, void *data)
{
    (void)data;
    SAY("parent_read_hook %d %s", (int)pid, line);
    return false;
}

static void
hear_child(pid_t pid, int fd, void *data)
{
    char answer[206] = "heard ";
    ssize_t n = read(fd, answer + 6, sizeof answer - 6);

    (void)data;
    if (n <= 0)
        return;
    SAY("child_is_talking_hook %d", (int)pid);
    if (write(fd, answer, (size_t)n + 6) != n + 6) /* whole, as it is read */
        SAY("child_is_talking_hook: %s", strerror(errno));
}

/* ---- in a child --- */

static int
init(struct prefork_worker *w, void *data)
{
    (void)data;
    SAY("child_init_hook %s", name_of(prefork_kind(w)));
    return 0;
}

static void
finish(struct prefork_worker *w, void *data)
{
    (void)data;
    SAY("child_finish_hook %s", name_of(prefork_kind(w)));
}

static void
before_wait(struct prefork_worker *w, void *data)
{
    (void)w;
    (void)data;
    SAY("pre_accept_hook");
}

static void
work_off(struct prefork_worker *w, void *data)
{
    const char *path = getenv("SUPERVISOR_GATE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    (void)w;
    (void)data;
    SAY("dequeue");
    if (fd >= 0)
        (void)flock(fd, LOCK_SH);
}

static void
talk(struct prefork_conn *c, const char *line)
{
    int fd = prefork_parent_fd(prefork_conn_worker(c));
    char answer[200];
    ssize_t n = -1;

    if (write(fd, line, strlen(line)) == (ssize_t)strlen(line))
        n = read(fd, answer, sizeof answer - 1);
    answer[n > 0 ? n : 0] = '\0';
    (void)prefork_printf(c, "%s\n", answer);
}

static bool
is_standard_input_and_output(struct prefork_conn *c)
{
    struct stat ours;
    struct stat in;
    struct stat out;

    return fstat(prefork_fd(c), &ours) == 0 && fstat(STDIN_FILENO, &in) == 0 &&
           fstat(STDOUT_FILENO, &out) == 0 && in.st_ino == ours.st_ino &&
           out.st_ino == ours.st_ino;
}

static void
grant(struct prefork_conn *c, const char *line)
{
    struct prefork_worker *w = prefork_conn_worker(c);

    if (strcmp(line, "pid") == 0)
        (void)prefork_printf(c, "%d\n", (int)getpid());
    else if (strncmp(line, "parent ", 7) == 0)
        (void)prefork_printf(c, "%d\n", prefork_tell_parent(w, line + 7));
    else if (strncmp(line, "talk ", 5) == 0)
        talk(c, line + 5);
    else if (strcmp(line, "done") == 0)
        prefork_done(w);
    else if (strcmp(line, "fd") == 0)
        (void)prefork_printf(c, "%d\n", is_standard_input_and_output(c));
}

static void
serve(struct prefork_conn *c, void *data)
{
    char line[200];

    (void)data;
    while (prefork_gets(c, line, sizeof line) > 0) {
        line[strcspn(line, "\n")] = '\0';
        grant(c, line);
    }
}

/* ---- anywhere --- */

static void
write_line(enum prefork_log_level level, const char *text, void *data)
{
    int fd =
        open(getenv("SUPERVISOR_LOG"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);

    (void)data;
    if (fd >= 0)
        (void)dprintf(fd, "%d %d %s\n", (int)level, (int)getpid(), text);
    (void)close(fd);
}

static void
fail(const char *text, void *data)
{
    (void)data;
    (void)fprintf(stderr, "fatal_hook: %s\n", text);
}

int
main(int argc, char **argv)
{
    return prefork_main(
        argc, argv,
        &(struct prefork_app){
            .name = "supervisor",
            .pre_loop_hook = start_foreign_child,
            .pre_fork_hook = before_fork,
            .register_child = born,
            .cleanup_dead_child_hook = ended,
            .delete_child_hook = deleted,
            .other_child_died_hook = other_died,
            .restart_close_hook = before_replacing,
            .restart_open_hook = replacing,
            .parent_read_hook = hear_line,
            .child_is_talking_hook = hear_child,
            .child_init_hook = init,
            .child_finish_hook = finish,
            .pre_accept_hook = before_wait,
            .dequeue = work_off,
            .process_request = serve,
            .write_to_log_hook = getenv("SUPERVISOR_LOG") ? write_line : NULL,
            .fatal_hook = fail,
        });
}
