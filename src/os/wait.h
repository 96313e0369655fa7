/* Sleep until a descriptor is ready or a deadline has come.
 *
 * An epoll object with tags instead of pointers. It belongs to the process that made it: a
 * forked child shares the kernel's object, so it closes its copy and never adds or
 * removes anything. */
#ifndef PF_OS_WAIT_H
#define PF_OS_WAIT_H

#include "base/attr.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct pf_wait {
    int fd;
};

struct pf_wait_event {
    uint64_t tag;
};

/* 0 or a negative errno. */
PF_MUST_USE int pf_wait_open(struct pf_wait *w);
void pf_wait_close(struct pf_wait *w);

/* Report fd with this tag whenever it is readable (level-triggered). */
PF_MUST_USE int pf_wait_add(struct pf_wait *w, int fd, uint64_t tag);

/* The same for a listening socket shared with other processes, of which one is to be
 * woken for a connection (EPOLLEXCLUSIVE). */
PF_MUST_USE int pf_wait_add_exclusive(struct pf_wait *w, int fd, uint64_t tag);

/* Report fd with this tag once, when it is or becomes readable; then not again until this
 * is called again. */
PF_MUST_USE int pf_wait_add_once(struct pf_wait *w, int fd, uint64_t tag);

/* Report fd with this tag when something new has come or the other end was closed
 * (edge-triggered). Called again for the same fd: also if something is still there. */
PF_MUST_USE int pf_wait_add_edge(struct pf_wait *w, int fd, uint64_t tag);

/* Report fd with this tag when it hangs up: the other end is closed, or it is of no more
 * use. -EPERM: such a descriptor never does. */
PF_MUST_USE int pf_wait_add_end(struct pf_wait *w, int fd, uint64_t tag);

/* Forget fd; to be called before it is closed. Unknown is fine. */
void pf_wait_remove(struct pf_wait *w, int fd);

/* Sleep until something is ready, a signal handler ran, or the deadline (PF_NEVER: none)
 * has come. How many events were stored, at most max. */
unsigned pf_wait_sleep(struct pf_wait *w, pf_time deadline, struct pf_wait_event *events,
                       unsigned max);

#endif
