/* What a worker is: functions to call or a program to run, and how it takes connections.
 *
 * config/ and api/ fill it, the master passes it on unread, a worker lives by it. It does
 * not change while a generation lives. */
#ifndef PF_WORKER_RECIPE_H
#define PF_WORKER_RECIPE_H

#include "link/turn.h"
#include <prefork/prefork.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum pf_handler {
    PF_HANDLER_CALLBACK,  /* process_request for each connection */
    PF_HANDLER_MAIN_LOOP, /* the program's own loop; sockets optional */
    PF_HANDLER_NOWAIT,    /* a program for each connection, on descriptors 0 and 1 */
    PF_HANDLER_WAIT,      /* a program that accepts by itself */
};

enum pf_accept_order {
    PF_ACCEPT_HOT,   /* few workers, warm caches: EPOLLEXCLUSIVE */
    PF_ACCEPT_FAIR,  /* every worker in turn: the same, re-queued after two accepts */
    PF_ACCEPT_SHARD, /* several sockets for each address, among which the kernel divides */
};

struct pf_access;

struct pf_recipe {
    enum pf_handler handler;
    struct prefork_app app; /* the caller's, copied; members this handler lacks are NULL */
    const char *name;       /* first word of the titles and of log lines; borrowed */

    const char *program;       /* resolved path, NULL unless a program; borrowed */
    char *const *program_argv; /* borrowed */

    enum pf_accept_order accept_order;
    enum pf_turn_kind serialize; /* who may wait for connections */
    uint64_t passthrough;        /* signals the master passes on; bit n - 1 is signal n */

    bool child_communication; /* a stream of the program's own between it and the master */
    bool no_close_by_child;   /* prefork_stop() in a worker ends that worker alone */
    bool half_close_is_end;   /* a client that has finished sending counts as gone */
    bool client_stdio;        /* the connection on descriptors 0 and 1 */
    unsigned udp_recv_len;    /* of datagram sockets that no port asks for, as in ... */
    int udp_recv_flags;       /* ... struct pf_endpoint */
    unsigned max_requests;    /* connections a worker accepts in its life; 0: no limit */
    unsigned
        max_requests_jitter; /* percent of max_requests by which a life may be shorter */

    const struct pf_access *access; /* who may come in; NULL: everybody; borrowed */

    bool drop_privileges; /* user or group below were set */
    uid_t uid;
    gid_t gid;
    const gid_t *groups; /* supplementary groups, borrowed */
    unsigned group_count;
    uint64_t keep_capabilities; /* os/capability.h; of the master only */
};

#endif
