/* The phrases that the log prints. */
#include "core/reason.h"

const char *
pf_reason_text(enum pf_reason reason)
{
    static const char *const texts[PF_REASON_COUNT_OF] = {
        [PF_REASON_NONE] = "no reason",
        [PF_REASON_MIN_SERVERS] = "fewer than min_servers",
        [PF_REASON_SPARE] = "too few idle",
        [PF_REASON_QUEUE] = "connections are waiting",
        [PF_REASON_PROBE] = "one try after bad starts",
        [PF_REASON_REPLACE] = "to replace outdated ones",
        [PF_REASON_TRIAL] = "a new generation is tried",
        [PF_REASON_DEQUEUE] = "check_for_dequeue",
        [PF_REASON_MAX_SPARE] = "never needed, more idle than max_spare_servers",
        [PF_REASON_QUIET] = "not needed for spare_timeout",
        [PF_REASON_OVER_MAX] = "more than max_servers",
        [PF_REASON_MAX_REQUESTS] = "max_requests, or out of descriptors",
        [PF_REASON_OUTDATED] = "workers are being replaced",
        [PF_REASON_STOP] = "the server stops",
        [PF_REASON_SLOW_START] = "not ready within start_timeout",
        [PF_REASON_SLOW_REQUEST] = "request longer than request_timeout",
        [PF_REASON_SLOW_LEAVE] = "did not leave within graceful_timeout",
        [PF_REASON_CLIENT_GONE] = "the client has gone",
        [PF_REASON_STILL_THERE] = "still there kill_timeout after SIGTERM",
        [PF_REASON_FULL] = "max_servers",
        [PF_REASON_ROOM] = "fewer are busy than max_servers",
        [PF_REASON_LEFT] = "ended",
        [PF_REASON_FAILED] = "failed",
        [PF_REASON_KILLED] = "killed",
        [PF_REASON_BAD_START] = "bad start",
    };

    return texts[reason];
}
