/* prefork stop: end the server that runs with a pid file, and wait until it is gone.
 *
 *   prefork stop --pid-file F [--graceful] [--timeout SECONDS]
 *   prefork stop --conf-file C ...
 *
 * How long the server may take for its end is in its settings too. */
#include "cli/cli.h"
#include "cli/running.h"
#include <prefork/prefork.h>

#include <stdlib.h>

enum {
    MARGIN = 5, /* seconds that a server may be late */
};

static double
seconds(const struct prefork *p, const char *key)
{
    return strtod(prefork_get(p, key), NULL);
}

/* All that a server with these settings may take: requests, SIGTERM and SIGKILL to workers,
 * the same to what programs left behind. */
static double
longest_end(const struct prefork *p, bool graceful)
{
    return seconds(p, graceful ? "graceful_timeout" : "stop_timeout") +
           4 * seconds(p, "kill_timeout") + MARGIN;
}

static int
stop(const struct cli_running *r, const struct prefork *p, const char *pid_file)
{
    char text[CLI_SENTENCE_BYTES];
    double timeout;
    int result;

    if (!cli_running_timeout(r, longest_end(p, r->flagged), &timeout))
        return PREFORK_EXIT_USAGE;
    result = prefork_kill_running(pid_file, r->flagged, timeout, text, sizeof text);
    return cli_running_end(r, result, text);
}

int
cli_stop(int argc, char **argv)
{
    return cli_running(
        &(struct cli_running){.command = "stop", .flag = "--graceful", .run = stop}, argc,
        argv);
}
