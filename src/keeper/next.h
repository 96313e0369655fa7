/* Giving birth to a master: what it is told, and how. */
#ifndef PF_KEEPER_NEXT_H
#define PF_KEEPER_NEXT_H

#include "base/attr.h"
#include "keeper/shelf.h"
#include "os/process.h"

#include <stddef.h>

/* Names its end of the socket pair to a master that a keeper gave birth to. */
#define PF_NEXT_KEEPER "PREFORK_KEEPER"

/* Arguments and environment of the start, and room for what is said anew each time. */
struct pf_next {
    char *const *arguments;
    char **environment;
    unsigned capacity; /* of that table */
    unsigned kept;     /* variables in it that stay */
    char *names;       /* LISTEN_FDNAMES=... */
    size_t names_bytes;
};

/* Take environment and arguments from this process. 0 or -ENOMEM. */
PF_MUST_USE int pf_next_open(struct pf_next *n);
void pf_next_close(struct pf_next *n);

/* Both ends of a pair, close-on-exec, with numbers of at least lowest. 0 or a negative
 * errno. */
PF_MUST_USE int pf_next_socket(int lowest, int *ret_ours, int *ret_its);

/* In a child that is to be a master: a process group of its own, what signals do as they
 * did at the start, a watchdog that was meant for its parent. */
void pf_next_birth(void);

/* Execute the program behind descriptor exe in a new process, which gets what lies on the
 * shelf as LISTEN_FDS, and socket as PREFORK_KEEPER (both borrowed). If that is refused in
 * the child, it says ERRNO= on the socket and ends. 0 and *ret_master, or a negative errno.
 */
PF_MUST_USE int pf_next_start(struct pf_next *n, const struct pf_shelf *shelf, int exe,
                              int socket, struct pf_process *ret_master);

#endif
