/* Processes: born, signalled, reaped. The library waits only for pids it started. */
#ifndef PF_OS_PROCESS_H
#define PF_OS_PROCESS_H

#include "base/attr.h"
#include "base/time.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pf_process {
    pid_t pid;
    int pidfd;    /* readable when it ended; -1: none, and it is a child of ours */
    bool adopted; /* it is not our child: how it ended is not known */
};

/* fork(2). In the parent: 1 and *ret_child is filled. In the child: 0. Refused: a negative
 * errno, and no child exists. Its end is told by SIGCHLD alone; or by a pidfd as well. */
PF_MUST_USE int pf_process_fork(struct pf_process *ret_child);
PF_MUST_USE int pf_process_fork_watched(struct pf_process *ret_child);

/* When process pid was started, in ticks of the clock since the boot (field 22 of
 * /proc/PID/stat): with its number this names a process for good. 0: there is none, or
 * /proc does not say. */
uint64_t pf_process_start_time(pid_t pid);

/* Watch over a process that somebody else gave birth to. 0 and *ret_process; -ESRCH: it has
 * ended, or its number belongs to another one now; or another negative errno. */
PF_MUST_USE int pf_process_adopt(pid_t pid, uint64_t start_time,
                                 struct pf_process *ret_process);

/* Undo a fork: end a child that was just born and reap it. It has not got further than its
 * first instructions, so this is short. */
void pf_process_abandon(struct pf_process *child);

/* Send a signal to the process group that the process leads, or to the process alone
 * while it does not lead one yet. An ended process is not an error. */
void pf_process_signal(const struct pf_process *p, int signum);

/* Send it to this process alone, whatever group it leads. 0 or a negative errno: -ESRCH if
 * it has ended. */
int pf_process_signal_alone(const struct pf_process *p, int signum);

/* The signal would not end it: it is blocked, ignored or caught there, as /proc says. */
PF_MUST_USE bool pf_process_minds_signal(const struct pf_process *p, int signum);

/* Wait for its end until a moment (0: just look): true, it has ended. Whose child it is
 * does not matter; it is not reaped. */
PF_MUST_USE bool pf_process_ends_by(const struct pf_process *p, pf_time deadline);

/* Reap it: 0 and its wait status, or -EAGAIN: it still lives. The pidfd is closed. Of one
 * that was adopted the status is 0, whatever it was: its parent reaps it. */
PF_MUST_USE int pf_process_reap(struct pf_process *p, int *ret_wait_status);

/* In a child: end it now, without exit handlers, which are the parent's. */
PF_NORETURN void pf_process_exit(int status);

/* In a child, first thing: lead a process group of its own, so that it can be signalled
 * together with what it starts. */
void pf_process_lead_group(void);

/* In a child: be sent this signal when the parent dies. */
void pf_process_die_with_parent(int signum, pid_t parent);
void pf_process_outlive_parent(void); /* not any more */

/* Descendants whose parent died become children of this process from now on, instead of
 * init's, so that none of them can outlive it unseen. 0 or a negative errno. */
PF_MUST_USE int pf_process_adopt_orphans(void);

/* Has this child ended? 1: yes; 0: no; -ECHILD: yes, and somebody else has reaped it. */
PF_MUST_USE int pf_process_has_ended(const struct pf_process *p);

/* A child that has ended and is not reaped, whoever started it; 0: there is none. The same
 * is named until it is reaped. The kernel looks at all children for that. */
PF_MUST_USE pid_t pf_process_ended(void);

/* Reap every child that has ended. True: there are others left. */
PF_MUST_USE bool pf_process_reap_children(void);

/* Keep /proc open, for where the root directory has none; a child lets go of it, because it
 * leads outside. 0 or a negative errno. */
PF_MUST_USE int pf_process_keep_proc(void);
void pf_process_leave_proc(void);

/* A directory below /proc, which may be the one that was kept. The caller closes it; NULL:
 * there is none (errno). */
DIR *pf_process_open_proc(const char *path);

/* Send a signal to every child that is not ours. How many there are. Reads /proc. */
unsigned pf_process_signal_orphans(int signum, bool (*is_ours)(void *context, pid_t pid),
                                   void *context);

/* How many processors this process may run on; at least 1. */
unsigned pf_process_processors(void);

/* A descriptor that is readable once child pid has ended, close-on-exec; -1: not to be had.
 * The caller owns it. */
int pf_process_watch(pid_t pid);

#endif
