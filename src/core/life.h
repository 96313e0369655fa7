/* One worker's life: every state, every event, one table.
 *
 *               READY          TAKES
 *   VACANT ──▶ STARTING ──▶ IDLE ◀──▶ BUSY        (told by the worker's own slot)
 *     ▲  BORN     │          │  DONE   │
 *     │           └────┬─────┴─────────┤ ASKED     (on its channel, never by a signal)
 *     │                ▼               │
 *     │             DRAINING ──────────┤ SIGNALLED (SIGTERM, later SIGKILL)
 *     │                │               ▼
 *     │                │           STOPPING
 *     │ BURIED         │ DIED          │ DIED
 *     └───────────── GONE ◀────────────┘           (reaped; its obituary not yet told)
 *
 * READY, TAKES and DONE are gossip: a worker says so. They never bring a worker back
 * that was asked to leave or signalled. All other events are the master's own acts or the
 * kernel's word, and happening in a state that has no answer for them is a bug of ours. */
#ifndef PF_CORE_LIFE_H
#define PF_CORE_LIFE_H

#include <stdbool.h>

enum pf_life {
    PF_LIFE_VACANT,   /* the slot has no process */
    PF_LIFE_STARTING, /* forked; has not said that it is ready */
    PF_LIFE_IDLE,     /* waits for a connection */
    PF_LIFE_BUSY,     /* serves one */
    PF_LIFE_DRAINING, /* asked to leave; may still serve its last connection */
    PF_LIFE_STOPPING, /* signalled */
    PF_LIFE_GONE,     /* dead and reaped */
    PF_LIFE_COUNT_OF,
};

enum pf_life_event {
    PF_LIFE_BORN,
    PF_LIFE_READY,
    PF_LIFE_TAKES,
    PF_LIFE_DONE,
    PF_LIFE_ASKED,
    PF_LIFE_SIGNALLED,
    PF_LIFE_DIED,
    PF_LIFE_BURIED,
    PF_LIFE_EVENT_COUNT_OF,
};

/* The state after the event; PF_LIFE_COUNT_OF if this cannot happen. */
enum pf_life pf_life_next(enum pf_life life, enum pf_life_event event);

/* There is a process behind the slot. */
bool pf_life_alive(enum pf_life life);

/* It takes connections, or will once it is ready: nobody asked it to leave. */
bool pf_life_serving(enum pf_life life);

const char *pf_life_name(enum pf_life life);

#endif
