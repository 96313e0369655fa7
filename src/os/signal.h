/* Signals as readable facts.
 *
 * In the master they are blocked and read from a descriptor, so that none of them
 * interrupts anything. In a worker they are what they were when the process started,
 * except the few that the worker itself handles. */
#ifndef PF_OS_SIGNAL_H
#define PF_OS_SIGNAL_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A set of signals: bit n - 1 is signal n. */
typedef uint64_t pf_signal_set;

enum { PF_SIGNAL_LAST = 64 };

static inline bool
pf_signal_is_in(pf_signal_set set, int signum)
{
    return set >> (signum - 1) & 1;
}

/* Block the signals the master listens to, and those in more, and open a non-blocking,
 * close-on-exec descriptor on which they and SIGCHLD arrive. The mask and SIGPIPE's
 * disposition as they were are kept for pf_signal_forget(); a SIGCHLD that was ignored,
 * which would let no end be waited for, is set to its default for good. The descriptor, or
 * a negative errno. */
PF_MUST_USE int pf_signal_open(pf_signal_set more);

/* The next signal that arrived: its number, or 0: no more for now. Who sent it; of SIGCHLD,
 * which stands for all who ended since the last one was read, who was the first. */
int pf_signal_next(int fd, pid_t *ret_sender);

/* Ignore SIGXFSZ, which would end whoever logs to a file that has reached the limit of the
 * process. The disposition as it was is kept for pf_signal_forget(). */
void pf_signal_shield(void);

/* Close the descriptor, and undo pf_signal_open() and pf_signal_shield(): in a worker, or
 * when the master is done. Until then signals stay blocked; those that came meanwhile are
 * dropped by pf_signal_drain(). */
void pf_signal_close(int *fd);
void pf_signal_drain(void);
void pf_signal_forget(void);

/* A master is about to execute the next one in its process: give back dispositions as they
 * were when it started. Signals stay blocked, so none is lost. If it comes to nothing: take
 * them back. */
void pf_signal_hand_over(void);
void pf_signal_take_back(void);

/* Which signals were blocked when the master started; and in one that was executed in the
 * place of another, before pf_signal_open(): these were when the first one started. */
pf_signal_set pf_signal_at_start(void);
void pf_signal_adopt(pf_signal_set mask);

/* In a worker: run handler on SIGTERM, SIGINT and SIGQUIT, and ignore SIGPIPE and SIGXFSZ;
 * on SIGHUP, where system calls go on afterwards. */
void pf_signal_handle_end(void (*handler)(int signum));
void pf_signal_handle_hangup(void (*handler)(int signum));

/* In a process that is master and worker at once: run handler on the signals that the
 * master listens to; by_us: a deadline raised it (os/alarm.h), or a descriptor of ours with
 * O_ASYNC and F_SETSIG, and not a person. SIGTTIN and SIGTTOU are ignored as in a worker,
 * and SIGPIPE too. None of them interrupts the handler. pf_signal_let_go() gives back what
 * was before, but leaves the signals blocked, as pf_signal_open() does, until
 * pf_signal_forget() or another pf_signal_catch(). */
void pf_signal_catch(void (*handler)(int signum, bool by_us));
void pf_signal_let_go(void);

/* In such a handler: let the next one in, also while this one goes on. */
void pf_signal_admit(void);

/* In such a handler: the signal is not for us. Let it do what it does by default. */
void pf_signal_default(int signum);

/* In a worker: ignore a signal that has its default. It has that again in programs that
 * pf_program_run() starts; pf_signal_is_ignored() says for which signals this was done. */
void pf_signal_ignore(int signum);
bool pf_signal_is_ignored(int signum);

/* "TERM" for SIGTERM, and so on. */
const char *pf_signal_name(int signum);

#endif
