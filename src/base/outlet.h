/* The outlets of a server: what lines of all its processes go out by.
 *
 * Behind each is one descriptor that all processes write to. Only the master can open it
 * anew; the number is how it, its workers and the board speak of the same outlet. */
#ifndef PF_BASE_OUTLET_H
#define PF_BASE_OUTLET_H

enum pf_outlet {
    PF_OUTLET_LOG,
    PF_OUTLET_ACCESS_LOG,
    PF_OUTLET_COUNT,
};

#endif
