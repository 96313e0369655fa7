/* version: says which version of its code it is. Program and shared object. One line is one
 * wish:
 *
 *     version   the answer is "VERSION PID"
 *     hold      answers "VERSION PID", waits for one more line, answers "VERSION done"
 *     slow      the same, but waits for SLOW milliseconds
 *     tell      says "PID speaks" to the master by its stream and by prefork_tell_parent;
 *               "VERSION PID"
 *
 * Set by the compiler's command line:
 *
 *     VERSION   a text
 *     START     what happens when the code is loaded: abort() or pause() or raise(...)
 *     INIT      what happens in child_init_hook
 *     LATE      what happens in pre_loop_hook, in the master
 *     MISSING   a function that nobody has is called
 *
 * and by the environment:
 *
 *     LOOP      if it is set, workers have a main_loop instead of connections
 *     SLOW      milliseconds
 *     GATE      child_init_hook waits while somebody locks this path (flock(2))
 *     CLOSING   if it is set, restart_close_hook calls prefork_stop()
 *     BIRTHS    child_init_hook appends "VERSION PID" to this path, before the gate
 *     EVENTS    to this path the master appends "VERSION gone PID" when the client of PID
 *               has gone, and "VERSION heard TEXT" and "VERSION read TEXT" of what a
 *               worker said */
#include <prefork/prefork.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "v1"
#endif

#ifdef MISSING
void nobody_has_this(void);
#endif

static struct prefork_worker *self; /* in a worker */

static void append(const char *variable, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
append(const char *variable, const char *format, ...)
{
    const char *path = getenv(variable);
    char line[256];
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
        prefork_log(PREFORK_LOG_ERROR, "%s: %m", path);
    (void)close(fd);
}

static void
pass_gate(void)
{
    const char *path = getenv("GATE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    (void)flock(fd, LOCK_SH);
    (void)close(fd);
}

#ifdef START
__attribute__((constructor)) static void
be_loaded(void)
{
    (void)START;
}
#endif

static int
be_born(struct prefork_worker *w, void *data)
{
    (void)data;
    self = w;
    append("BIRTHS", VERSION " %d\n", (int)getpid());
#ifdef INIT
    (void)INIT;
#endif
#ifdef MISSING
    nobody_has_this();
#endif
    pass_gate();
    return 0;
}

int sink(int depth); /* deeper and deeper */

int
sink(int depth)
{
    volatile char room[65536];

    room[depth % sizeof room] = (char)depth;
    return sink(depth + 1) + room[depth % sizeof room];
}

/* In the master, before another program takes its place. */
static void
be_replaced(void *data)
{
    (void)data;
    if (getenv("CLOSING"))
        prefork_stop("the hook says so");
}

static int
be_ready(void *data)
{
    (void)data;
#ifdef LATE
    LATE;
#endif
    return 0;
}

static void
sleep_slowly(void)
{
    const char *text = getenv("SLOW");
    long ms = text ? atol(text) : 0;

    (void)nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void
tell(void)
{
    char text[40];
    int fd = prefork_parent_fd(self);

    (void)snprintf(text, sizeof text, "%d speaks", (int)getpid());
    (void)prefork_tell_parent(self, text);
    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        prefork_log(PREFORK_LOG_ERROR, "stream: %m");
}

static void
serve(struct prefork_conn *c, void *data)
{
    char line[64] = "";

    (void)data;
    (void)prefork_gets(c, line, sizeof line);
    if (strcmp(line, "tell\n") == 0)
        tell();
    (void)prefork_printf(c, VERSION " %d\n", (int)getpid());
    if (strcmp(line, "hold\n") == 0)
        (void)prefork_gets(c, line, sizeof line);
    else if (strcmp(line, "slow\n") == 0)
        sleep_slowly();
    else
        return;
    (void)prefork_printf(c, VERSION " done\n");
}

static void
gone(const struct prefork_disconnect *g, void *data)
{
    (void)data;
    append("EVENTS", VERSION " gone %d\n", (int)g->pid);
}

static bool
hear(pid_t pid, const char *line, void *data)
{
    (void)pid;
    (void)data;
    append("EVENTS", VERSION " heard %s\n", line);
    return false;
}

static void
read_talk(pid_t pid, int fd, void *data)
{
    char text[80] = "";

    (void)pid;
    (void)data;
    if (read(fd, text, sizeof text - 1) > 0)
        append("EVENTS", VERSION " read %s\n", text);
}

static void
loop(struct prefork_worker *w, void *data)
{
    (void)data;
    while (!prefork_stopping(w))
        (void)prefork_wait(w, -1, -1);
}

static struct prefork_app app = {
    .name = "version",
    .pre_loop_hook = be_ready,
    .restart_close_hook = be_replaced,
    .child_init_hook = be_born,
    .on_client_disconnect = gone,
    .parent_read_hook = hear,
    .child_is_talking_hook = read_talk,
    .process_request = serve,
};

PREFORK_MODULE(app);

int
main(int argc, char **argv)
{
    if (getenv("LOOP")) {
        app.main_loop = loop;
        app.process_request = NULL;
    }
    return prefork_main(argc, argv, &app);
}
