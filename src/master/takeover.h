/* What the master before this one handed over: found, judged, taken. In the process in
 * which it is the master's turn, before anything is started. */
#ifndef PF_MASTER_TAKEOVER_H
#define PF_MASTER_TAKEOVER_H

#include "base/attr.h"
#include "base/error.h"
#include "link/state.h"
#include "net/listener.h"

/* What there is, as long as nobody has taken it; NULL: nothing. It is looked for in the
 * first call, and the environment has no trace of it from then on. */
struct pf_state *pf_takeover_find(void);

/* What is wrong with it, so that this process cannot be its successor: a negative errno
 * with the sentence. 0: nothing, or there is none. */
PF_MUST_USE int pf_takeover_check(struct pf_error *error);

/* It cannot be taken over, or not by this program: whoever waits for an answer gets it and
 * this process ends, or the program that was here before is executed, if there is one.
 * Returns if there is none. */
void pf_takeover_fail(const char *reason);

/* The server that runs now takes it (for good; given), and the listeners that came with it;
 * NULL: nothing. */
struct pf_state *pf_takeover_take(struct pf_listeners *listeners);

/* This server is to be what it was, whatever has become of its files. The descriptor of one
 * of them (borrowed); -1: it is read by its path as always. */
int pf_takeover_held(enum pf_file_role role, const char *path);

#endif
