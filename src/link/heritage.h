/* What a worker is given at birth, read-only. Everything else of the master it forgets. */
#ifndef PF_LINK_HERITAGE_H
#define PF_LINK_HERITAGE_H

#include "link/board.h"
#include "link/turn.h"
#include "os/notice.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pf_recipe;
struct pf_listeners;

struct pf_heritage {
    const struct pf_recipe *recipe;
    const struct pf_listeners *listeners;
    struct pf_board_seat seat;
    struct pf_turn turn;
    int pass_fd;     /* a bell that wakes one waiting worker; borrowed */
    int channel;     /* the worker's end; the worker owns it */
    int wire;        /* likewise, of child_communication; -1: none */
    int departures;  /* where clients are watched (os/departure.h); -1: nobody looks */
    bool dequeue;    /* runs the dequeue function and takes no connections */
    uint32_t random; /* this worker's share of the jitter */
    pid_t master;
    char notify[PF_NOTICE_NAME_BYTES]; /* for NOTIFY_SOCKET of a program; "": nothing */
    bool kept;                         /* there may be another master after this one */
};

#endif
