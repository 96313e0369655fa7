/* The prefork command: a user of the public header like any other.
 *
 *   prefork serve [settings] [--] program [argument ...]
 *   prefork check [settings] [[--] program [argument ...]]
 *   prefork stop --pid-file F [--graceful] [--timeout SECONDS]
 *   prefork reload --pid-file F [--wait] [--timeout SECONDS]
 *   prefork restart-workers --pid-file F [--wait] [--timeout SECONDS]
 *   prefork status --scoreboard FILE | --conf-file FILE [--json]
 *
 * One row per subcommand; each turns its result into an exit code of enum prefork_exit. One
 * that has options of its own besides settings has a file of its own. */
#include "cli/cli.h"
#include "cli/status.h"
#include <prefork/prefork.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct subcommand {
    const char *name;
    const char *synopsis;
    const char *text;
    bool needs_program;
    int (*run)(struct prefork *p);
    int (*own)(int argc, char **argv); /* instead of run: reads its options by itself */
};

int
cli_fail(const char *command, int exit_code, const char *text)
{
    if (text[0] != '\0') /* a daemon's starter has said it already */
        (void)fprintf(stderr, "prefork %s: %s\n", command, text);
    return exit_code;
}

static int
serve(struct prefork *p)
{
    int exit_code = prefork_run(p);

    return exit_code == PREFORK_EXIT_OK ? exit_code
                                        : cli_fail("serve", exit_code, prefork_error(p));
}

static int
check(struct prefork *p)
{
    if (prefork_check(p) < 0)
        return cli_fail("check", prefork_exit_code(p), prefork_error(p));
    prefork_print(p, stdout);
    return PREFORK_EXIT_OK;
}

static const struct subcommand subcommands[] = {
    {"serve", "[settings] [--] program [argument ...]",
     "serve connections with a program or a shared object", true, serve, NULL},
    {"check", "[settings] [[--] program [argument ...]]",
     "check settings and print those in effect, with their origins", false, check, NULL},
    {"stop", "--pid-file FILE | --conf-file FILE [--graceful] [--timeout SECONDS]",
     "stop the server that runs with this pid file, and wait for its end", false, NULL,
     cli_stop},
    {"reload", "--pid-file FILE | --conf-file FILE [--wait] [--timeout SECONDS]",
     "ask a server for a reload, as SIGHUP does, and hear how it ended", false, NULL,
     cli_reload},
    {"restart-workers", "--pid-file FILE | --conf-file FILE [--wait] [--timeout SECONDS]",
     "ask a server to replace all its workers, one at a time", false, NULL,
     cli_restart_workers},
    {"status", "--scoreboard FILE | --conf-file FILE [--json]",
     "show what a server and each of its workers does", false, NULL, cli_status},
};

enum {
    SUBCOMMAND_COUNT = sizeof subcommands / sizeof subcommands[0],
};

static void
print_usage(FILE *to)
{
    (void)fprintf(to, "usage:\n");
    for (int i = 0; i < SUBCOMMAND_COUNT; i++)
        (void)fprintf(to, "  prefork %s %s\n      %s\n", subcommands[i].name,
                      subcommands[i].synopsis, subcommands[i].text);
    (void)fprintf(to,
                  "  prefork --help | --version\n\n"
                  "A program is run for each connection, with the connection as standard\n"
                  "input and output; one that accepts by itself needs --handler wait; a\n"
                  "name that ends in .so is a shared object (PREFORK_MODULE).\n\n");
}

int
cli_help(void)
{
    print_usage(stdout);
    (void)printf("settings (prefork.conf(5) has the full text):\n\n");
    prefork_help(stdout);
    return PREFORK_EXIT_OK;
}

int
cli_version(void)
{
    (void)printf("prefork %s\n", PREFORK_VERSION);
    return PREFORK_EXIT_OK;
}

static const struct subcommand *
find(const char *name)
{
    for (int i = 0; i < SUBCOMMAND_COUNT; i++) {
        if (strcmp(subcommands[i].name, name) == 0)
            return &subcommands[i];
    }
    return NULL;
}

static int
run_with(const struct subcommand *sub, struct prefork *p, int argc, char **argv)
{
    int used = argc;
    int r = prefork_args(p, argc, argv, &used);

    if (r == PREFORK_ARGS_HELP)
        return cli_help();
    if (r == PREFORK_ARGS_VERSION)
        return cli_version();
    if (r < 0)
        return cli_fail(sub->name, prefork_exit_code(p), prefork_error(p));
    if (used < argc)
        prefork_set_program(p, argv + used);
    else if (sub->needs_program)
        return cli_fail(sub->name, PREFORK_EXIT_USAGE,
                        "which program? prefork --help shows how to name it");
    return sub->run(p);
}

static int
run(const struct subcommand *sub, int argc, char **argv)
{
    struct prefork *p;
    int exit_code;

    if (sub->own)
        return sub->own(argc, argv);
    p = prefork_new(&(struct prefork_app){0});
    if (!p)
        return cli_fail(sub->name, PREFORK_EXIT_SYSTEM, "out of memory");
    exit_code = run_with(sub, p, argc, argv);
    prefork_free(p);
    return exit_code;
}

int
main(int argc, char **argv)
{
    const struct subcommand *sub = argc > 1 ? find(argv[1]) : NULL;

    if (sub && sub->own)
        return sub->own(argc - 1, argv + 1);
    if (sub)
        return run(sub, argc - 1, argv + 1);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return cli_help();
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        return cli_version();
    if (argc > 1)
        (void)fprintf(stderr, "prefork: there is no subcommand \"%s\"\n", argv[1]);
    print_usage(stderr);
    return PREFORK_EXIT_USAGE;
}
