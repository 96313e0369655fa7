/* family: master and workers that talk to each other, as they are told to.
 *
 * A connection is a list of questions, one line each, with one line each for an answer:
 *
 *     pid                  the worker's
 *     tell TEXT            prefork_tell_parent(): its result
 *     tell_long N          the same with a line of N bytes
 *     tell_newline         the same with a newline in it
 *     tell_lines N         N lines "number I", until one is refused: how many were told
 *     stop REASON, done    the calls of that name
 *     garbage              records of every kind and size on the channel: how many
 *     say TEXT             a line to prefork_parent_fd(): what write(2) said
 *     hear                 a line from there
 *     hang_up              shut it down
 *     quit                 _exit(0)
 *     signals              how often SIGUSR1 was handled
 *     environment          all of it, separated by blanks
 *     flood tell|say       without end, or until prefork_stopping()
 *
 * Environment:
 *
 *     HANDLE       child_init_hook installs a handler of SIGUSR1
 *     INIT_NEEDS   a file without which child_init_hook refuses
 *     NO_HOOKS     of the master
 *     TALK         child_is_talking_hook reads "none", "byte" by byte, or what there is
 *     FORK         before the loop the master starts a child of its own, which ends with 7
 *     DEQUEUE      the dequeue function will "wait", "crash", "stop"; otherwise it returns
 */
#include <prefork/prefork.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAY(...) prefork_log(PREFORK_LOG_NOTICE, __VA_ARGS__)

static volatile sig_atomic_t signals;

static void
count(int signum)
{
    (void)signum;
    signals++;
}

static bool
is_wanted(const char *name, const char *value)
{
    const char *set = getenv(name);

    return set && (!value || strcmp(set, value) == 0);
}

/* ---- in the master --- */

static int
pre_loop_hook(void *data)
{
    (void)data;
    if (is_wanted("FORK", NULL)) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(7);
        SAY("forked %d", (int)pid);
    }
    return 0;
}

static void
register_child(pid_t pid, enum prefork_kind kind, void *data)
{
    int fd = prefork_child_fd(pid);

    (void)data;
    if (kind == PREFORK_KIND_WORKER && fd >= 0)
        (void)!write(fd, "welcome\n", 8);
}

static bool
parent_read_hook(pid_t pid, const char *line, void *data)
{
    (void)data;
    if (strcmp(line, "flood") != 0)
        SAY("line %d: %s", (int)pid, line);
    if (strcmp(line, "stop in the master") == 0)
        prefork_stop("the hook wants it");
    return strncmp(line, "number", 6) == 0;
}

static void
child_is_talking_hook(pid_t pid, int fd, void *data)
{
    size_t most = is_wanted("TALK", "byte") ? 1 : 255;
    char text[256];
    ssize_t n;

    (void)data;
    if (is_wanted("TALK", "none")) {
        SAY("does not read");
        return;
    }
    n = read(fd, text, most);
    if (n <= 0)
        return;
    text[n] = '\0';
    if (strncmp(text, "ffff", 4) != 0) /* a flood */
        SAY("talk %d: %s", (int)pid, text);
    if (strncmp(text, "echo", 4) == 0)
        (void)!write(fd, text, (size_t)n);
}

static void
other_child_died_hook(pid_t pid, int wait_status, void *data)
{
    (void)data;
    SAY("other child %d ended with %d", (int)pid, WEXITSTATUS(wait_status));
}

static void
before_shutdown(const char *reason, void *data)
{
    (void)data;
    SAY("reason: %s", reason);
}

/* ---- in the worker --- */

static int
child_init_hook(struct prefork_worker *w, void *data)
{
    const char *needed = getenv("INIT_NEEDS");

    (void)w;
    (void)data;
    if (is_wanted("HANDLE", NULL))
        (void)signal(SIGUSR1, count);
    return needed ? access(needed, F_OK) : 0;
}

static void
child_finish_hook(struct prefork_worker *w, void *data)
{
    (void)w;
    (void)data;
    SAY("finish");
}

/* The only record socket that a worker has is its channel. */
static int
channel(void)
{
    for (int fd = 3; fd < 1024; fd++) {
        int type = 0;
        socklen_t size = sizeof type;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
            type == SOCK_SEQPACKET)
            return fd;
    }
    return -1;
}

static int
send_garbage(void)
{
    static unsigned words[2048];
    int sent = 0;

    memset(words, 0, sizeof words); /* texts of NUL bytes are none */
    for (unsigned kind = 0; kind < 10; kind++) {
        for (size_t bytes = 1; bytes <= sizeof words; bytes *= 3) {
            words[0] = kind;
            sent += send(channel(), words, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
        }
    }
    return sent;
}

static unsigned
tell_lines(struct prefork_worker *w, unsigned most)
{
    char line[32];

    for (unsigned i = 0; i < most; i++) {
        (void)snprintf(line, sizeof line, "number %u", i);
        if (prefork_tell_parent(w, line) < 0)
            return i;
    }
    return most;
}

static void
flood(struct prefork_worker *w, bool by_line)
{
    static char bytes[65536];

    memset(bytes, 'f', sizeof bytes);
    while (!prefork_stopping(w)) {
        if (by_line)
            (void)prefork_tell_parent(w, "flood");
        else if (write(prefork_parent_fd(w), bytes, sizeof bytes) < 0)
            return;
    }
}

static void
tell_long(struct prefork_conn *c, size_t bytes)
{
    char line[2048] = "";

    memset(line, 'l', bytes);
    (void)prefork_printf(c, "%d\n", prefork_tell_parent(prefork_conn_worker(c), line));
}

static void
hear(struct prefork_conn *c)
{
    char line[256];
    size_t n = 0;

    while (n < sizeof line - 1 &&
           read(prefork_parent_fd(prefork_conn_worker(c)), line + n, 1) == 1 &&
           line[n++] != '\n')
        continue;
    (void)prefork_write(c, line, n);
}

static void
print_environment(struct prefork_conn *c)
{
    for (char **e = environ; *e; e++)
        (void)prefork_printf(c, "%s ", *e);
    (void)prefork_printf(c, "\n");
}

static void
answer(struct prefork_conn *c, char *question)
{
    struct prefork_worker *w = prefork_conn_worker(c);
    char *argument = strchr(question, ' ');

    if (argument)
        *argument++ = '\0';
    else
        argument = question + strlen(question);
    if (strcmp(question, "pid") == 0) {
        (void)prefork_printf(c, "%d\n", (int)getpid());
    } else if (strcmp(question, "tell") == 0) {
        (void)prefork_printf(c, "%d\n", prefork_tell_parent(w, argument));
    } else if (strcmp(question, "tell_long") == 0) {
        tell_long(c, (size_t)atoi(argument));
    } else if (strcmp(question, "tell_newline") == 0) {
        (void)prefork_printf(c, "%d\n", prefork_tell_parent(w, "two\nlines"));
    } else if (strcmp(question, "tell_lines") == 0) {
        (void)prefork_printf(c, "%u\n", tell_lines(w, (unsigned)atoi(argument)));
    } else if (strcmp(question, "stop") == 0) {
        prefork_stop(*argument ? argument : NULL);
        (void)prefork_printf(c, "goes on\n");
    } else if (strcmp(question, "done") == 0) {
        prefork_done(w);
        (void)prefork_printf(c, "%d\n", prefork_stopping(w));
    } else if (strcmp(question, "garbage") == 0) {
        (void)prefork_printf(c, "%d\n", send_garbage());
    } else if (strcmp(question, "say") == 0) {
        strcat(argument, "\n");
        (void)prefork_printf(c, "%zd\n",
                             write(prefork_parent_fd(w), argument, strlen(argument)));
    } else if (strcmp(question, "hear") == 0) {
        hear(c);
    } else if (strcmp(question, "hang_up") == 0) {
        (void)prefork_printf(c, "%d\n", shutdown(prefork_parent_fd(w), SHUT_RDWR));
    } else if (strcmp(question, "quit") == 0) {
        _exit(0);
    } else if (strcmp(question, "signals") == 0) {
        (void)prefork_printf(c, "%d\n", (int)signals);
    } else if (strcmp(question, "environment") == 0) {
        print_environment(c);
    } else if (strcmp(question, "flood") == 0) {
        (void)prefork_printf(c, "begins\n");
        flood(w, strcmp(argument, "tell") == 0);
    } else {
        (void)prefork_printf(c, "what?\n");
    }
}

static void
process_request(struct prefork_conn *c, void *data)
{
    char question[1024];

    (void)data;
    while (prefork_gets(c, question, sizeof question - 1) > 0) {
        question[strcspn(question, "\n")] = '\0';
        answer(c, question);
    }
}

static void
dequeue(struct prefork_worker *w, void *data)
{
    const struct rlimit none = {0, 0};

    (void)data;
    SAY("dequeue begins");
    if (is_wanted("DEQUEUE", "crash")) {
        (void)setrlimit(RLIMIT_CORE, &none);
        abort();
    }
    if (is_wanted("DEQUEUE", "stop"))
        prefork_stop("the queue is empty");
    if (is_wanted("DEQUEUE", "wait")) {
        while (prefork_wait(w, -1, -1) == 0)
            continue;
    }
    prefork_busy(w); /* without effect here */
    prefork_idle(w);
    SAY("dequeue ends, tell %d, fd %d", prefork_tell_parent(w, "dequeue was here"),
        prefork_parent_fd(w));
}

int
main(int argc, char **argv)
{
    struct prefork_app app = {
        .name = "family",
        .pre_loop_hook = pre_loop_hook,
        .register_child = register_child,
        .other_child_died_hook = other_child_died_hook,
        .parent_read_hook = parent_read_hook,
        .child_is_talking_hook = child_is_talking_hook,
        .child_init_hook = child_init_hook,
        .child_finish_hook = child_finish_hook,
        .process_request = process_request,
        .dequeue = dequeue,
        .before_shutdown = before_shutdown,
    };

    if (is_wanted("NO_HOOKS", NULL)) {
        app.parent_read_hook = NULL;
        app.child_is_talking_hook = NULL;
        app.other_child_died_hook = NULL;
        app.dequeue = NULL;
    }
    return prefork_main(argc, argv, &app);
}
