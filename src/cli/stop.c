/* prefork stop: end the server that runs with a pid file, and wait until it is gone.
 *
 *   prefork stop --pid-file F [--graceful] [--timeout SECONDS]
 *   prefork stop --conf-file C ...
 *
 * Besides its own two options it takes all settings, so the command line and the config
 * file of a server can be used as they are: pid_file is taken from them, and how long the
 * server may take for its end. Settings are not checked as a whole: a server whose
 * configuration is wrong by now can be stopped too. */
#include "cli/cli.h"
#include <prefork/prefork.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SENTENCE_BYTES = 512,
    MARGIN = 5, /* seconds that a server may be late */
};

struct stop {
    bool graceful;
    const char *timeout; /* as it was written; NULL: by the settings */
};

static int
refuse(int exit_code, const char *text)
{
    return cli_fail("stop", exit_code, text);
}

/* Take the options that are no settings out of argv; those that stay are *argc. False: the
 * last one has no value. */
static bool
take_own_options(struct stop *s, int *argc, char **argv)
{
    int kept = 1;

    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--graceful") == 0)
            s->graceful = true;
        else if (strncmp(argv[i], "--timeout=", 10) == 0)
            s->timeout = argv[i] + 10;
        else if (strcmp(argv[i], "--timeout") != 0)
            argv[kept++] = argv[i];
        else if (++i < *argc)
            s->timeout = argv[i];
        else
            return false;
    }
    argv[kept] = NULL;
    *argc = kept;
    return true;
}

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

static bool
read_timeout(const char *text, double *ret_seconds)
{
    char *end;

    *ret_seconds = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*ret_seconds) && *ret_seconds >= 0;
}

/* What is in the way is an error of the system; what is not there, an answer. */
static int
exit_code_of(int r)
{
    switch (r) {
    case PREFORK_PIDFILE_RUNNING: return PREFORK_EXIT_OK;
    case PREFORK_PIDFILE_NONE:
    case PREFORK_PIDFILE_STALE: return PREFORK_EXIT_UNAVAILABLE;
    case PREFORK_PIDFILE_FOREIGN: return PREFORK_EXIT_CONFIG;
    default: return PREFORK_EXIT_SYSTEM;
    }
}

static int
stop(const struct stop *s, const struct prefork *p)
{
    const char *path = prefork_get(p, "pid_file");
    double timeout = longest_end(p, s->graceful);
    char text[SENTENCE_BYTES];
    int r;

    if (!path)
        return refuse(
            PREFORK_EXIT_USAGE,
            "which server? --pid-file names its pid file, or --conf-file a config "
            "file that does");
    if (s->timeout && !read_timeout(s->timeout, &timeout))
        return refuse(PREFORK_EXIT_USAGE, "--timeout: seconds are expected, such as 10");
    r = prefork_kill_running(path, s->graceful, timeout, text, sizeof text);
    if (r != 0)
        return refuse(exit_code_of(r), text);
    (void)printf("%s\n", text);
    return PREFORK_EXIT_OK;
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
run(const struct stop *s, struct prefork *p, int argc, char **argv)
{
    int used = argc;
    int r = read_settings(p, argc, argv, &used);

    if (r == PREFORK_ARGS_HELP)
        return cli_help();
    if (r == PREFORK_ARGS_VERSION)
        return cli_version();
    if (r < 0)
        return refuse(prefork_exit_code(p), prefork_error(p));
    if (used < argc)
        return refuse(PREFORK_EXIT_USAGE, "only options are expected; --pid-file names the "
                                          "server");
    return stop(s, p);
}

int
cli_stop(int argc, char **argv)
{
    struct prefork *p = prefork_new(&(struct prefork_app){0});
    struct stop s = {.graceful = false};
    int exit_code;

    if (!p)
        return refuse(PREFORK_EXIT_SYSTEM, "out of memory");
    if (take_own_options(&s, &argc, argv))
        exit_code = run(&s, p, argc, argv);
    else
        exit_code = refuse(PREFORK_EXIT_USAGE, "--timeout: how many seconds?");
    prefork_free(p);
    return exit_code;
}
