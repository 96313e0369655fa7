/* prefork status: which scoreboard, in which form, and what that means as an exit code.
 *
 *   prefork status --scoreboard FILE | --conf-file FILE [--json]
 *
 * The scoreboard is read by the public call that every program has. The file of a server
 * that ended without cleaning up still says how that was, so it is shown like any other,
 * and the exit code tells the two apart. */
#include "cli/status.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "which server? --scoreboard names the file that its setting scoreboard_path names, or "
    "--conf-file its config file";

static const char help[] =
    "usage: prefork status --scoreboard FILE | --conf-file FILE [--json]\n"
    "  --scoreboard FILE  the file that the server's setting scoreboard_path names\n"
    "  --conf-file FILE   take its name from the server's config file\n"
    "  --json             one JSON object, for programs\n"
    "exit status: 0 the server runs, 69 it does not, 64, 71 or 78 nothing can be said\n";

struct wish {
    const char *scoreboard;
    const char *conf_file;
    bool json;
    bool help;
};

static int
fail(int exit_code, const char *text)
{
    (void)fprintf(stderr, "prefork status: %s\n", text);
    return exit_code;
}

static int
refuse_option(char **argv, int kind)
{
    (void)fprintf(stderr, "prefork status: %s: %s\n", argv[optind - 1],
                  kind == ':' ? "a file name is needed" : "unknown option");
    return PREFORK_EXIT_USAGE;
}

static int
read_options(int argc, char **argv, struct wish *wish)
{
    static const struct option options[] = {
        {"scoreboard", required_argument, NULL, 's'},
        {"conf_file", required_argument, NULL, 'c'},
        {"conf-file", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int kind;

    opterr = 0;
    while ((kind = getopt_long(argc, argv, "+:", options, NULL)) >= 0) {
        switch (kind) {
        case 's': wish->scoreboard = optarg; break;
        case 'c': wish->conf_file = optarg; break;
        case 'j': wish->json = true; break;
        case 'h': wish->help = true; return PREFORK_EXIT_OK;
        default: return refuse_option(argv, kind);
        }
    }
    if (optind < argc)
        return fail(PREFORK_EXIT_USAGE,
                    "options are all it takes; --scoreboard FILE names a scoreboard");
    if (wish->scoreboard && wish->conf_file)
        return fail(PREFORK_EXIT_USAGE, "--scoreboard and --conf-file name the same thing: "
                                        "give one of them");
    return wish->scoreboard || wish->conf_file ? PREFORK_EXIT_OK
                                               : fail(PREFORK_EXIT_USAGE, usage);
}

/* What the system refused is 71, and a file that is not a scoreboard, or not there, 78. */
static int
exit_code_of(int r)
{
    switch (-r) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EINVAL:
    case ENODATA:
    case EPROTONOSUPPORT: return PREFORK_EXIT_CONFIG;
    default: return PREFORK_EXIT_SYSTEM;
    }
}

/* Written whole, or it was not written. */
static int
finish(int exit_code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_code;
    return fail(PREFORK_EXIT_SYSTEM, "standard output cannot be written");
}

static int
show(const char *path, bool json)
{
    struct prefork_scoreboard *b;
    char error[512];
    struct timespec now;
    int r;

    r = prefork_read_scoreboard(path, &b, error, sizeof error);
    if (r < 0)
        return fail(exit_code_of(r), error);
    (void)clock_gettime(CLOCK_REALTIME, &now); /* it has always been there */
    if (json)
        r = cli_json(b, stdout);
    else
        cli_table(b, (double)now.tv_sec + (double)now.tv_nsec / 1e9, stdout);
    if (r < 0)
        r = fail(PREFORK_EXIT_SYSTEM, "out of memory");
    else
        r = finish(b->alive ? PREFORK_EXIT_OK : PREFORK_EXIT_UNAVAILABLE);
    prefork_free_scoreboard(b);
    return r;
}

static int
show_by_config(const char *conf_file, bool json)
{
    struct prefork *p = prefork_new(&(struct prefork_app){0});
    const char *path;
    int exit_code;

    if (!p)
        return fail(PREFORK_EXIT_SYSTEM, "out of memory");
    if (prefork_load(p, conf_file) < 0) {
        exit_code = fail(prefork_exit_code(p), prefork_error(p));
    } else if ((path = prefork_get(p, "scoreboard_path")) == NULL) {
        (void)fprintf(stderr,
                      "prefork status: %s does not set scoreboard_path, so its "
                      "server has no scoreboard\n",
                      conf_file);
        exit_code = PREFORK_EXIT_CONFIG;
    } else {
        exit_code = show(path, json);
    }
    prefork_free(p);
    return exit_code;
}

int
cli_status(int argc, char **argv)
{
    struct wish wish = {0};
    int r = read_options(argc, argv, &wish);

    if (r != PREFORK_EXIT_OK)
        return r;
    if (wish.help) {
        (void)fputs(help, stdout);
        return PREFORK_EXIT_OK;
    }
    return wish.scoreboard ? show(wish.scoreboard, wish.json)
                           : show_by_config(wish.conf_file, wish.json);
}
