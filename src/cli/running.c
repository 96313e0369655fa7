/* Subcommands that ask something of a server that runs.
 *
 * Besides --timeout and one option of their own they take all settings, so the command line
 * and the config file of a server can be used as they are: pid_file is taken from them.
 * Settings are not checked as a whole: a server whose configuration is wrong by now can be
 * found too. */
#include "cli/running.h"

#include "cli/cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
refuse(const struct cli_running *r, int exit_code, const char *text)
{
    return cli_fail(r->command, exit_code, text);
}

/* Take the options that are no settings out of argv; those that stay are *argc. False: the
 * last one has no value. */
static bool
take_own_options(struct cli_running *r, int *argc, char **argv)
{
    int kept = 1;

    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], r->flag) == 0)
            r->flagged = true;
        else if (strncmp(argv[i], "--timeout=", 10) == 0)
            r->timeout = argv[i] + 10;
        else if (strcmp(argv[i], "--timeout") != 0)
            argv[kept++] = argv[i];
        else if (++i < *argc)
            r->timeout = argv[i];
        else
            return false;
    }
    argv[kept] = NULL;
    *argc = kept;
    return true;
}

static int
read_settings(struct prefork *p, int argc, char **argv, int *ret_used)
{
    int r = prefork_args(p, argc, argv, ret_used);

    if (r == 0 && prefork_get(p, "conf_file"))
        r = prefork_load(p, prefork_get(p, "conf_file"));
    return r;
}

static int
run(const struct cli_running *r, struct prefork *p, int argc, char **argv)
{
    int used = argc;
    int result = read_settings(p, argc, argv, &used);

    if (result == PREFORK_ARGS_HELP)
        return cli_help();
    if (result == PREFORK_ARGS_VERSION)
        return cli_version();
    if (result < 0)
        return refuse(r, prefork_exit_code(p), prefork_error(p));
    if (used < argc)
        return refuse(r, PREFORK_EXIT_USAGE,
                      "only options are expected; --pid-file names the server");
    if (!prefork_get(p, "pid_file"))
        return refuse(r, PREFORK_EXIT_USAGE,
                      "which server? --pid-file names its pid file, or --conf-file a "
                      "config file that does");
    return r->run(r, p, prefork_get(p, "pid_file"));
}

int
cli_running(struct cli_running *r, int argc, char **argv)
{
    struct prefork *p = prefork_new(&(struct prefork_app){0});
    int exit_code;

    if (!p)
        return refuse(r, PREFORK_EXIT_SYSTEM, "out of memory");
    if (take_own_options(r, &argc, argv))
        exit_code = run(r, p, argc, argv);
    else
        exit_code = refuse(r, PREFORK_EXIT_USAGE, "--timeout: how many seconds?");
    prefork_free(p);
    return exit_code;
}

bool
cli_running_timeout(const struct cli_running *r, double by_default, double *ret_seconds)
{
    double seconds;
    char *end;

    *ret_seconds = by_default;
    if (!r->timeout)
        return true;
    seconds = strtod(r->timeout, &end);
    if (end == r->timeout || *end != '\0' || !isfinite(seconds) || seconds < 0) {
        (void)refuse(r, PREFORK_EXIT_USAGE, "--timeout: seconds are expected, such as 10");
        return false;
    }
    *ret_seconds = seconds;
    return true;
}

/* What is in the way is an error of the system; what is not there, an answer. */
static int
exit_code_of(int result)
{
    switch (result) {
    case PREFORK_PIDFILE_RUNNING: return PREFORK_EXIT_OK;
    case PREFORK_PIDFILE_NONE:
    case PREFORK_PIDFILE_STALE:
    case PREFORK_ASKED_REFUSED: return PREFORK_EXIT_UNAVAILABLE;
    case PREFORK_PIDFILE_FOREIGN: return PREFORK_EXIT_CONFIG;
    case PREFORK_ASKED_FAILED: return PREFORK_EXIT_TEMPFAIL;
    default: return PREFORK_EXIT_SYSTEM;
    }
}

int
cli_running_end(const struct cli_running *r, int result, const char *text)
{
    if (result != 0)
        return refuse(r, exit_code_of(result), text);
    (void)printf("%s\n", text);
    return PREFORK_EXIT_OK;
}
