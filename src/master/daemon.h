/* Leaving the terminal: background, the starter's verdict, the pid file. */
#ifndef PF_MASTER_DAEMON_H
#define PF_MASTER_DAEMON_H

#include "base/attr.h"
#include "base/error.h"
#include "config/config.h"
#include "log/file.h"

#include <stdbool.h>

struct pf_daemonized {
    int verdict;               /* the starter waits at the other end; -1: nobody does */
    int pid_fd;                /* the pid file, locked; -1: none */
    struct pf_place pid_place; /* where it is */
};

#define PF_DAEMONIZED_NONE                                                                 \
    ((struct pf_daemonized){.verdict = -1, .pid_fd = -1, .pid_place = {.directory = -1}})

/* Go to the background if so configured. The starting process does not return: it waits
 * for pf_daemon_tell() and exits with what it says, or with PREFORK_EXIT_SOFTWARE if the
 * daemon dies without a word. 0 in the daemon, or a negative errno with the sentence. */
PF_MUST_USE int pf_daemon_start(struct pf_daemonized *d, const struct pf_daemon *settings,
                                struct pf_error *error);

/* Open, lock and write the pid file. Somebody alive who holds the lock is an error that
 * names his pid. 0 or a negative errno with the sentence. */
PF_MUST_USE int pf_daemon_write_pid(struct pf_daemonized *d, const char *path,
                                    struct pf_error *error);

/* The pid file of the master before, locked, is ours (fd is consumed; path is borrowed).
 * And if that was another process: write our number into it. 0 or a negative errno with the
 * sentence. */
void pf_daemon_take_over(struct pf_daemonized *d, const char *path, int fd);
PF_MUST_USE int pf_daemon_rewrite_pid(struct pf_daemonized *d, struct pf_error *error);

/* Standard descriptors of a daemon with a log elsewhere or a session of its own: the null
 * device, and for standard error the log file; it stays what it is if it was named as the
 * log. */
PF_MUST_USE int pf_daemon_redirect(const struct pf_daemon *settings,
                                   struct pf_error *error);

/* Tell the starter how it went; once. False: nobody waits. */
bool pf_daemon_tell(struct pf_daemonized *d, int exit_code, const char *text);

/* In a worker: let go of lock and verdict. */
void pf_daemon_forget(struct pf_daemonized *d);

/* Remove the pid file if it is ours, or empty it. False: neither could be done. May be
 * called in a signal handler, and again. */
bool pf_daemon_remove_pid(struct pf_daemonized *d);

/* At the end: the same, and let go of it. */
void pf_daemon_finish(struct pf_daemonized *d);

#endif
