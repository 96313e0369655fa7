/* `prefork status`: a server as its scoreboard shows it. */
#ifndef PF_CLI_STATUS_H
#define PF_CLI_STATUS_H

#include <prefork/prefork.h>

#include <stdio.h>

/* status.c: the subcommand with its own options; argv[0] is its name. An exit code. */
int cli_status(int argc, char **argv);

/* table.c: for people, in lines. now (seconds since the epoch): spans of time end there. */
void cli_table(const struct prefork_scoreboard *b, double now, FILE *to);

/* json.c: one object and a newline. 0, or -1: out of memory, and nothing was written. */
int cli_json(const struct prefork_scoreboard *b, FILE *to);

#endif
