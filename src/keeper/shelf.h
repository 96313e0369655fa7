/* The shelf: descriptors by name, kept for whoever comes next.
 *
 * A name is one descriptor: what is put there last counts. What hangs up is dropped. */
#ifndef PF_KEEPER_SHELF_H
#define PF_KEEPER_SHELF_H

#include "base/attr.h"
#include "os/wait.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PF_SHELF_NAME_BYTES = 48, /* as in link/stored.h */
    PF_SHELF_FIRST = 3,       /* the first number that is handed on (SD_LISTEN_FDS_START) */
    /* Of all names, with a byte between them: a variable of the environment has 128 KiB
     * (execve(2), MAX_ARG_STRLEN). */
    PF_SHELF_NAMES_MAX = 127 * 1024,
};

/* What has a name that begins like this is of more use than all else, and always has room:
 * two of them, for the new one comes before the old one goes. (link/stored.c makes it.) */
#define PF_SHELF_STATE "prefork.state."

struct pf_shelf_item {
    int fd; /* -1: this place is free */
    char name[PF_SHELF_NAME_BYTES];
};

struct pf_shelf {
    struct pf_shelf_item *items;
    unsigned places;      /* in the table, */
    unsigned capacity;    /* of which so many are for everything */
    unsigned count;       /* places in use */
    size_t names_bytes;   /* of their names, and a byte for each */
    int lowest;           /* no descriptor on the shelf has a lower number */
    struct pf_wait *wait; /* borrowed */
    uint64_t tag;         /* of the first place; the others follow */
};

/* Room for so many. wait (borrowed until it is closed) reports place i with tag + i when
 * what lies there hangs up. Descriptors will have numbers beyond all that pf_shelf_spread()
 * uses. 0 or -ENOMEM. */
PF_MUST_USE int pf_shelf_open(struct pf_shelf *s, unsigned capacity, struct pf_wait *wait,
                              uint64_t tag);
void pf_shelf_close(struct pf_shelf *s);

/* Put a descriptor there (consumed in any case), in place of what had this name. 0 or a
 * negative errno: -ENOSPC, there is no room; -ENAMETOOLONG; -EINVAL: no name, or one that a
 * list of names cannot have; -EMFILE. */
PF_MUST_USE int pf_shelf_put(struct pf_shelf *s, const char *name, int fd);

/* What has this name (borrowed); -1: nothing. */
int pf_shelf_find(const struct pf_shelf *s, const char *name);

/* Close what has this name; what lies in this place, if it has hung up; everything. */
void pf_shelf_remove(struct pf_shelf *s, const char *name);
void pf_shelf_look(struct pf_shelf *s, unsigned place);
void pf_shelf_clear(struct pf_shelf *s);

/* The names in the order of pf_shelf_spread(), with ':' between them. False: there is not
 * room enough. Each takes PF_SHELF_NAME_BYTES at most. */
PF_MUST_USE bool pf_shelf_names(const struct pf_shelf *s, char *text, size_t bytes);

/* In a forked child, before it becomes another program: copies that stay open over that,
 * from descriptor PF_SHELF_FIRST upwards, whatever was there. How many; or a negative
 * errno. */
PF_MUST_USE int pf_shelf_spread(const struct pf_shelf *s);

#endif
