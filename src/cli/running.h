/* What subcommands about a running server share. */
#ifndef PF_CLI_RUNNING_H
#define PF_CLI_RUNNING_H

#include <prefork/prefork.h>

#include <stdbool.h>

enum {
    CLI_SENTENCE_BYTES = 1024,
};

/* Such a subcommand. */
struct cli_running {
    const char *command; /* "stop" */
    const char *flag;    /* its own option without a value, such as "--graceful" */
    /* Do it to the server with this pid file, whose settings are p: an exit code. */
    int (*run)(const struct cli_running *r, const struct prefork *p, const char *pid_file);

    /* As found on the command line. */
    bool flagged;
    const char *timeout; /* as it was written; NULL: not there */
};

/* Read the command line, and the config file that it names, and run. argv[0] is the name of
 * the subcommand. An exit code. */
int cli_running(struct cli_running *r, int argc, char **argv);

/* The timeout on the command line, or this default: true; false: it is no number of
 * seconds, which was said. */
bool cli_running_timeout(const struct cli_running *r, double by_default,
                         double *ret_seconds);

/* The exit code for the result of a call that takes a pid file. Its sentence is said on
 * standard output if all went well, and on standard error otherwise. */
int cli_running_end(const struct cli_running *r, int result, const char *text);

#endif
