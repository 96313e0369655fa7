/* What the files of the command share. */
#ifndef PF_CLI_CLI_H
#define PF_CLI_CLI_H

/* Say "prefork COMMAND: text" on standard error, unless text is empty; returns exit_code.
 */
int cli_fail(const char *command, int exit_code, const char *text);

/* What `prefork --help` and `prefork --version` do; exit codes. */
int cli_help(void);
int cli_version(void);

/* stop.c: `prefork stop`; argv[0] is its name. An exit code. */
int cli_stop(int argc, char **argv);

/* reload.c: `prefork reload` and `prefork restart-workers`, likewise. */
int cli_reload(int argc, char **argv);
int cli_restart_workers(int argc, char **argv);

#endif
