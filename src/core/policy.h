/* The numbers a decision depends on, as plain values.
 *
 * config/ produces it, core/ consumes it, nobody changes it in between except TTIN and
 * TTOU, which move min_servers and max_servers (core/size.h). Everything is checked
 * before it gets here: min_servers <= max_servers, min_spare_servers <=
 * max_spare_servers <= max_servers. */
#ifndef PF_CORE_POLICY_H
#define PF_CORE_POLICY_H

#include "base/time.h"

#include <stdbool.h>

/* How the size of the pool follows the load. */
enum pf_sizing {
    PF_SIZING_DYNAMIC,  /* between min_servers and max_servers, with spares */
    PF_SIZING_STATIC,   /* max_servers, always */
    PF_SIZING_ONDEMAND, /* none until somebody connects; back to none when quiet */
};

/* What happens when the client of a worker has gone. */
enum pf_departure_policy {
    PF_DEPARTURE_IGNORE, /* nothing: nobody even looks */
    PF_DEPARTURE_TELL,   /* the program's hook hears of it */
    PF_DEPARTURE_TERM,   /* and the worker is sent SIGTERM */
    PF_DEPARTURE_KILL,   /* and the worker is sent SIGKILL */
};

struct pf_policy {
    enum pf_sizing sizing;
    enum pf_departure_policy on_departure;
    bool single;                /* one worker, whatever TTIN and TTOU ask for */
    unsigned min_servers;       /* workers: the floor */
    unsigned min_spare_servers; /* workers: idle ones to keep ready */
    unsigned max_spare_servers; /* workers: idle ones tolerated */
    unsigned max_servers;       /* workers: the exact ceiling, leaving ones included; while
                                   generations change, with the surge on top */
    unsigned max_recycling;     /* workers: how many may be on their way out for
                                   max_requests at once; at least 1 */
    unsigned reload_surge;    /* workers: of a new generation, to begin with; at least 1 */
    bool leave_children_open; /* outdated ones have all the time they want to leave */

    pf_time check_for_waiting; /* window of the low-water mark for max_spare_servers */
    pf_time spare_timeout;     /* window of the low-water mark for min_spare_servers */
    pf_time min_child_ttl;     /* after a birth, no surplus is retired for this long */
    pf_time check_for_spawn;   /* the idle count is audited this often */

    unsigned max_dequeue;      /* dequeue processes at once; not counted among workers */
    pf_time check_for_dequeue; /* from the birth of one to the next; PF_NEVER: none */

    pf_time check_for_disconnect; /* the kernel is asked this often for clients that left
                                     programs that accept by themselves; PF_NEVER: not */

    pf_time reload_timeout;   /* a reload's check, and its first workers to become ready;
                                 PF_NEVER: no limit */
    pf_time start_timeout;    /* birth to ready; PF_NEVER: no limit */
    pf_time ready_delay;      /* birth to ready, of a program that accepts by itself and
                                 says nothing; PF_NEVER: it has to */
    pf_time request_timeout;  /* one request; PF_NEVER: no limit */
    pf_time graceful_timeout; /* QUIT, and outdated workers: time for running requests */
    pf_time stop_timeout;     /* TERM, INT: time for running requests */
    pf_time kill_timeout;     /* from SIGTERM to SIGKILL */
};

#endif
