/* What the master says to its keeper: messages as of sd_notify(3). */
#ifndef PF_KEEPER_WORD_H
#define PF_KEEPER_WORD_H

#include "keeper/shelf.h"

#include <stdbool.h>

/* The protocol, whole. Other lines mean nothing to a keeper. */
struct pf_word {
    bool ready;    /* READY=1: the server serves */
    bool stopping; /* STOPPING=1: its end is meant */
    bool store;    /* FDSTORE=1: keep the descriptors that came along ... */
    bool remove;   /* FDSTOREREMOVE=1: or close what has this name */
    int errnum;    /* ERRNO=: it could not be executed; 0: nothing of the kind */
    char name[PF_SHELF_NAME_BYTES]; /* FDNAME=; "" if there is none, or none that fits */
};

/* Read one message. */
void pf_word_read(const char *text, struct pf_word *ret_word);

#endif
