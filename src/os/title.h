/* What ps(1) and top(1) show. */
#ifndef PF_OS_TITLE_H
#define PF_OS_TITLE_H

/* Show "name: text" and let the short name (comm) be name. */
void pf_title_set(const char *name, const char *text);

enum pf_title_state {
    PF_TITLE_INIT, /* not ready yet */
    PF_TITLE_IDLE,
    PF_TITLE_BUSY,
};

/* Show "name: role init", such that pf_title_state() can change the last word. */
void pf_title_set_worker(const char *name, const char *role);

/* "init", "idle" or "busy", by a copy of four bytes: this happens twice per connection.
 * Without effect unless pf_title_set_worker() was the last to set the title. */
void pf_title_state(enum pf_title_state state);

#endif
