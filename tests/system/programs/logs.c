/* A server that logs what it is told.
 *
 * A connection sends lines "LEVEL TEXT"; each is logged and answered with "done". So a test
 * decides when a busy worker has something to say. From the environment:
 *
 *   HOOK    file to which write_to_log_hook appends "LEVEL PID TEXT"; it also tries to log
 *   FATAL   file to which fatal_hook appends its text; it also logs
 *   REFUSE  child_init_hook refuses */
#include <prefork/prefork.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int hook_fd = -1;

static int
open_named(const char *variable)
{
    const char *path = getenv(variable);

    return path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
}

static void
write_hook(enum prefork_log_level level, const char *text, void *data)
{
    (void)data;
    dprintf(hook_fd, "%d %d %s\n", (int)level, (int)getpid(), text);
    prefork_log(PREFORK_LOG_ERROR, "logged by the hook");
}

static void
fatal_hook(const char *text, void *data)
{
    int fd = open_named("FATAL");

    (void)data;
    dprintf(fd, "%s\n", text);
    close(fd);
    prefork_log(PREFORK_LOG_WARNING, "the fatal hook says goodbye");
}

static int
init(struct prefork_worker *w, void *data)
{
    (void)w;
    (void)data;
    return getenv("REFUSE") ? 3 : 0;
}

static void
serve(struct prefork_conn *c, void *data)
{
    char line[1024];

    (void)data;
    while (prefork_gets(c, line, sizeof line) > 2) {
        line[strcspn(line, "\n")] = '\0';
        prefork_log((enum prefork_log_level)(line[0] - '0'), "%s", line + 2);
        prefork_printf(c, "done\n");
    }
}

int
main(int argc, char **argv)
{
    struct prefork_app app = {
        .name = "logs",
        .child_init_hook = init,
        .process_request = serve,
        .fatal_hook = getenv("FATAL") ? fatal_hook : NULL,
    };

    hook_fd = open_named("HOOK");
    if (hook_fd >= 0)
        app.write_to_log_hook = write_hook;
    return prefork_main(argc, argv, &app);
}
