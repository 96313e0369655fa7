/* prefork reload, prefork restart-workers: ask the server that runs with a pid file, and
 * hear how it ended.
 *
 *   prefork reload --pid-file F [--wait] [--timeout SECONDS]
 *   prefork restart-workers --conf-file C ...
 *
 * Without --wait the server has only agreed when this ends. */
#include "cli/cli.h"
#include "cli/running.h"
#include <prefork/prefork.h>

typedef int ask_function(const char *path, bool wait, double timeout, char *text,
                         size_t size);

static int
ask(const struct cli_running *r, const char *pid_file, ask_function *function)
{
    char text[CLI_SENTENCE_BYTES];
    double timeout;
    int result;

    if (!cli_running_timeout(r, -1, &timeout))
        return PREFORK_EXIT_USAGE;
    result = function(pid_file, r->flagged, timeout, text, sizeof text);
    return cli_running_end(r, result, text);
}

static int
reload(const struct cli_running *r, const struct prefork *p, const char *pid_file)
{
    (void)p;
    return ask(r, pid_file, prefork_reload_running);
}

static int
restart(const struct cli_running *r, const struct prefork *p, const char *pid_file)
{
    (void)p;
    return ask(r, pid_file, prefork_restart_running);
}

int
cli_reload(int argc, char **argv)
{
    return cli_running(
        &(struct cli_running){.command = "reload", .flag = "--wait", .run = reload}, argc,
        argv);
}

int
cli_restart_workers(int argc, char **argv)
{
    return cli_running(&(struct cli_running){.command = "restart-workers",
                                             .flag = "--wait",
                                             .run = restart},
                       argc, argv);
}
