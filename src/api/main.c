/* prefork_main(): a whole daemon behind one call. */
#include "api/server.h"

#include <stdio.h>

static int
usage_error(const struct prefork *p, const char *text)
{
    (void)fprintf(stderr, "%s: %s; --help lists the options\n", p->name, text);
    return PREFORK_EXIT_USAGE;
}

static void
print_help(const struct prefork *p)
{
    (void)printf("usage: %s [--setting value] ...\n\n", p->name);
    prefork_help(stdout);
}

static int
report(const struct prefork *p, int exit_code)
{
    if (exit_code != PREFORK_EXIT_OK && prefork_error(p)[0] != '\0')
        (void)fprintf(stderr, "%s: %s\n", p->name, prefork_error(p));
    return exit_code;
}

static int
run(struct prefork *p, int argc, char **argv)
{
    int used = argc;
    int r = prefork_args(p, argc, argv, &used);

    if (r == PREFORK_ARGS_HELP) {
        print_help(p);
        return PREFORK_EXIT_OK;
    }
    if (r == PREFORK_ARGS_VERSION) {
        (void)printf("%s, on prefork %s\n", p->name, PREFORK_VERSION);
        return PREFORK_EXIT_OK;
    }
    if (r < 0)
        return p->error.exit_code == PREFORK_EXIT_USAGE ? usage_error(p, p->error.text)
                                                        : report(p, p->error.exit_code);
    if (used < argc) {
        char text[256];
        (void)snprintf(text, sizeof text, "unexpected word \"%s\"", argv[used]);
        return usage_error(p, text);
    }
    return report(p, prefork_run(p));
}

int
prefork_main_sized(int argc, char **argv, const struct prefork_app *app, size_t size)
{
    struct prefork *p = prefork_new_sized(app, size);
    int exit_code;

    if (!p) {
        (void)fprintf(stderr, "out of memory\n");
        return PREFORK_EXIT_SYSTEM;
    }
    exit_code = run(p, argc, argv);
    prefork_free(p);
    return exit_code;
}
