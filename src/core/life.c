/* One worker's life as a table.
 *
 * The header draws it. Every state has an answer for every event: a next state, itself
 * (the event says nothing new there), or NEVER. The table is the only place that knows
 * which life may follow which; core/pool.c is the only place that asks it. */
#include "core/life.h"

#include "base/attr.h"

#define NEVER PF_LIFE_COUNT_OF

#define VACANT   PF_LIFE_VACANT
#define STARTING PF_LIFE_STARTING
#define IDLE     PF_LIFE_IDLE
#define BUSY     PF_LIFE_BUSY
#define DRAINING PF_LIFE_DRAINING
#define STOPPING PF_LIFE_STOPPING
#define GONE     PF_LIFE_GONE

/* clang-format off */
static const enum pf_life table[PF_LIFE_COUNT_OF][PF_LIFE_EVENT_COUNT_OF] = {
    /*             BORN      READY     TAKES     DONE      ASKED     SIGNALLED DIED   BURIED */
    [VACANT]   = { STARTING, NEVER,    NEVER,    NEVER,    NEVER,    NEVER,    NEVER, NEVER  },
    [STARTING] = { NEVER,    IDLE,     BUSY,     IDLE,     DRAINING, STOPPING, GONE,  NEVER  },
    [IDLE]     = { NEVER,    IDLE,     BUSY,     IDLE,     DRAINING, STOPPING, GONE,  NEVER  },
    [BUSY]     = { NEVER,    IDLE,     BUSY,     IDLE,     DRAINING, STOPPING, GONE,  NEVER  },
    [DRAINING] = { NEVER,    DRAINING, DRAINING, DRAINING, DRAINING, STOPPING, GONE,  NEVER  },
    [STOPPING] = { NEVER,    STOPPING, STOPPING, STOPPING, STOPPING, STOPPING, GONE,  NEVER  },
    [GONE]     = { NEVER,    NEVER,    NEVER,    NEVER,    NEVER,    NEVER,    NEVER, VACANT },
};
/* clang-format on */

enum pf_life
pf_life_next(enum pf_life life, enum pf_life_event event)
{
    return table[life][event];
}

bool
pf_life_alive(enum pf_life life)
{
    return life != VACANT && life != GONE;
}

bool
pf_life_serving(enum pf_life life)
{
    return life == STARTING || life == IDLE || life == BUSY;
}

const char *
pf_life_name(enum pf_life life)
{
    static const char *const names[PF_LIFE_COUNT_OF] = {
        [VACANT] = "vacant",     [STARTING] = "starting", [IDLE] = "idle", [BUSY] = "busy",
        [DRAINING] = "draining", [STOPPING] = "stopping", [GONE] = "gone",
    };

    return names[life];
}
