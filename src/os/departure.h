/* Where the departure of clients is watched: a thing that is made before a fork, in which
 * the child registers connections and into which the parent looks.
 *
 * The parent holds no copy of a socket, which would keep the connection open. A
 * registration lives as long as the socket is open anywhere, and never longer than the
 * thing itself. */
#ifndef PF_OS_DEPARTURE_H
#define PF_OS_DEPARTURE_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

struct pf_departure {
    uint64_t connection; /* the number it was registered with */
    bool broken;         /* the connection was reset, or broke down */
    bool shut;           /* it is over in both directions, by whomever that was done */
};

/* Close-on-exec, readable when there may be departures; or a negative errno. */
PF_MUST_USE int pf_departures_open(void);

/* In the child: report this connected socket (not consumed) when its other end goes, or has
 * gone already; with half_close also when that has only finished sending. One system call,
 * and none when the socket is closed. 0 or a negative errno. */
PF_MUST_USE int pf_departures_watch(int departures, int fd, uint64_t connection,
                                    bool half_close);

/* In the parent: what there is, at most max. The same may be reported again when there is
 * something new to it. Never blocks. */
unsigned pf_departures_take(int departures, struct pf_departure *table, unsigned max);

#endif
