/* The path of a unix socket: how it comes to be, and how it goes again.
 *
 * A unix socket is known by a file, and a file may be stale, another's, or too open. What
 * that asks for is here; the socket itself is one listener like all others
 * (net/listener.h). */
#ifndef PF_NET_PATH_H
#define PF_NET_PATH_H

#include "base/attr.h"
#include "base/error.h"
#include "net/endpoint.h"

#include <stdbool.h>
#include <sys/types.h>

/* The file that a socket of ours has at its path; all 0 for none. */
struct pf_path_file {
    dev_t dev;
    ino_t ino; /* 0: there is none, or it is not ours */
};

/* Listen (or, for datagrams, be bound) at the path that a unix endpoint names, with its
 * backlog, mode and owner. A path
 * that exists is replaced only if it is a socket nobody answers on.
 *
 * The listening descriptor (close-on-exec, non-blocking; given) and the file in *ret_file,
 * or a negative errno with the sentence in error; then *ret_file is untouched and a file
 * made on the way is gone. In a rehearsal nobody can connect or send to the socket, and the
 * file is gone in any case: *ret_file is none. */
PF_MUST_USE int pf_path_open(const struct pf_endpoint *endpoint, bool rehearsal,
                             struct pf_path_file *ret_file, struct pf_error *error);

/* Is this file still at the path? */
bool pf_path_is(const char *path, const struct pf_path_file *file);

/* The path of the file that a socket has until it takes over `path`. False: it would be too
 * long. */
PF_MUST_USE bool pf_path_beside(const char *path,
                                char ret_beside[static PF_ENDPOINT_PORT_BYTES]);

/* Let the file beside the path take it over, in one step: connect(2) finds either. What is
 * at the path may be replaced if `ours`, or by the rule of pf_path_open(). 0, or a negative
 * errno with the sentence in error. */
PF_MUST_USE int pf_path_replace(const char *path, bool ours, struct pf_error *error);

/* The mode and owner that an endpoint sets, for a file that exists: may this process give
 * them to it, and giving them. A file that has them already is left alone. 0 or a negative
 * errno, with the sentence in error. */
PF_MUST_USE int pf_path_may_change(const struct pf_endpoint *endpoint,
                                   const struct pf_path_file *file, struct pf_error *error);
PF_MUST_USE int pf_path_change(const struct pf_endpoint *endpoint,
                               const struct pf_path_file *file);

/* Remove path if it is still the file of *file, which is none afterwards. */
void pf_path_unlink(const char *path, struct pf_path_file *file);

#endif
