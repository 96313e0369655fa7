/* Why an action is taken: one word for the machine, one phrase for the person.
 *
 * Every action of a plan carries one. The log prints the phrase, tests assert the word. */
#ifndef PF_CORE_REASON_H
#define PF_CORE_REASON_H

enum pf_reason {
    PF_REASON_NONE,

    /* births */
    PF_REASON_MIN_SERVERS, /* below the floor */
    PF_REASON_SPARE,       /* fewer idle than min_spare_servers, or on demand none */
    PF_REASON_QUEUE,       /* connections wait in the kernel's queue */
    PF_REASON_PROBE,       /* one try after bad starts */
    PF_REASON_REPLACE,     /* to take the place of an outdated one */
    PF_REASON_TRIAL,       /* the first of a new generation */
    PF_REASON_DEQUEUE,     /* of a dequeue process: check_for_dequeue is over */

    /* asked to leave */
    PF_REASON_MAX_SPARE,    /* never needed, above max_spare_servers */
    PF_REASON_QUIET,        /* never needed for spare_timeout, above min_spare_servers */
    PF_REASON_OVER_MAX,     /* max_servers was lowered */
    PF_REASON_MAX_REQUESTS, /* has served its share, or cannot accept any more */
    PF_REASON_OUTDATED,     /* of a generation that is to be replaced */
    PF_REASON_STOP,         /* the server ends */

    /* signalled */
    PF_REASON_SLOW_START,   /* not ready within start_timeout, or the time of a trial */
    PF_REASON_SLOW_REQUEST, /* one request longer than request_timeout */
    PF_REASON_SLOW_LEAVE,   /* outdated and asked, still there after graceful_timeout */
    PF_REASON_CLIENT_GONE,  /* the client of its connection has gone */
    PF_REASON_STILL_THERE,  /* SIGTERM did not end it within kill_timeout */

    /* told, without an action */
    PF_REASON_FULL, /* connections wait, and max_servers are busy */
    PF_REASON_ROOM, /* that is over */

    /* buried */
    PF_REASON_LEFT,      /* ended with status 0 */
    PF_REASON_FAILED,    /* ended with another status */
    PF_REASON_KILLED,    /* ended by a signal */
    PF_REASON_BAD_START, /* ended before it was of any use */

    PF_REASON_COUNT_OF,
};

const char *pf_reason_text(enum pf_reason reason);

#endif
