/* Deadlines of single workers. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "core/overdue.h"

#define S PF_SECOND

static const struct pf_policy policy = {
    .start_timeout = 60 * S, .request_timeout = 30 * S, .kill_timeout = 3 * S};

static const struct {
    const char *name;
    struct pf_slot slot; /* born at 1000 s */
    pf_time now;
    enum pf_step step;
    enum pf_reason reason;
    pf_time at; /* of the next look */
} cases[] = {
    {"starting, in time",
     {.life = PF_LIFE_STARTING, .born = 1000 * S},
     1059 * S,
     PF_STEP_NONE,
     PF_REASON_NONE,
     1060 * S},
    {"starting, too long",
     {.life = PF_LIFE_STARTING, .born = 1000 * S},
     1060 * S,
     PF_STEP_TERM,
     PF_REASON_SLOW_START,
     PF_NEVER},
    {"a dequeue process, starting for ever",
     {.life = PF_LIFE_STARTING, .kind = PF_KIND_DEQUEUE, .born = 1000 * S},
     9999 * S,
     PF_STEP_NONE,
     PF_REASON_NONE,
     PF_NEVER},
    {"a dequeue process, at work for ever",
     {.life = PF_LIFE_BUSY,
      .kind = PF_KIND_DEQUEUE,
      .born = 1000 * S,
      .was_ready = true,
      .told = {.ready = true, .busy = true, .since = 1000 * S}},
     9999 * S,
     PF_STEP_NONE,
     PF_REASON_NONE,
     PF_NEVER},
    {"idle for ever",
     {.life = PF_LIFE_IDLE, .born = 1000 * S},
     9999 * S,
     PF_STEP_NONE,
     PF_REASON_NONE,
     PF_NEVER},
    {"busy, in time",
     {.life = PF_LIFE_BUSY,
      .born = 1000 * S,
      .was_ready = true,
      .told = {.ready = true, .busy = true, .since = 2000 * S}},
     2029 * S,
     PF_STEP_NONE,
     PF_REASON_NONE,
     2030 * S},
    {"busy, too long",
     {.life = PF_LIFE_BUSY,
      .born = 1000 * S,
      .was_ready = true,
      .told = {.ready = true, .busy = true, .since = 2000 * S}},
     2030 * S,
     PF_STEP_TERM,
     PF_REASON_SLOW_REQUEST,
     PF_NEVER},
    {"asked, its last request too long",
     {.life = PF_LIFE_DRAINING,
      .born = 1000 * S,
      .was_ready = true,
      .told = {.ready = true, .busy = true, .since = 2000 * S}},
     2030 * S,
     PF_STEP_TERM,
     PF_REASON_SLOW_REQUEST,
     PF_NEVER},
    {"asked, and idle",
     {.life = PF_LIFE_DRAINING,
      .born = 1000 * S,
      .was_ready = true,
      .told = {.ready = true, .since = 2000 * S}},
     2030 * S,
     PF_STEP_NONE,
     PF_REASON_NONE,
     PF_NEVER},
    {"asked before it was ready, which it never is",
     {.life = PF_LIFE_DRAINING, .born = 1000 * S},
     1060 * S,
     PF_STEP_TERM,
     PF_REASON_SLOW_START,
     PF_NEVER},
    {"a moment in the future is now",
     {.life = PF_LIFE_BUSY,
      .born = 1000 * S,
      .was_ready = true,
      .told = {.ready = true, .busy = true, .since = 5000 * S}},
     2000 * S,
     PF_STEP_NONE,
     PF_REASON_NONE,
     2030 * S},
    {"the end of all time is now",
     {.life = PF_LIFE_BUSY,
      .born = 1000 * S,
      .was_ready = true,
      .told = {.ready = true, .busy = true, .since = INT64_MAX}},
     2000 * S,
     PF_STEP_NONE,
     PF_REASON_NONE,
     2030 * S},
    {"a moment before its birth is its birth",
     {.life = PF_LIFE_BUSY,
      .born = 1000 * S,
      .was_ready = true,
      .told = {.ready = true, .busy = true, .since = INT64_MIN}},
     1029 * S,
     PF_STEP_NONE,
     PF_REASON_NONE,
     1030 * S},
    {"signalled, in time",
     {.life = PF_LIFE_STOPPING, .step = PF_STEP_TERM, .signalled = 2000 * S},
     2002 * S,
     PF_STEP_NONE,
     PF_REASON_NONE,
     2003 * S},
    {"signalled, still there",
     {.life = PF_LIFE_STOPPING, .step = PF_STEP_TERM, .signalled = 2000 * S},
     2003 * S,
     PF_STEP_KILL,
     PF_REASON_STILL_THERE,
     PF_NEVER},
    {"killed: nothing more to do",
     {.life = PF_LIFE_STOPPING, .step = PF_STEP_KILL, .signalled = 2000 * S},
     9999 * S,
     PF_STEP_NONE,
     PF_REASON_NONE,
     PF_NEVER},
    {"vacant", {.life = PF_LIFE_VACANT}, 9999 * S, PF_STEP_NONE, PF_REASON_NONE, PF_NEVER},
    {"gone",
     {.life = PF_LIFE_GONE, .told = {.busy = true}},
     9999 * S,
     PF_STEP_NONE,
     PF_REASON_NONE,
     PF_NEVER},
};

static void
deadlines(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        enum pf_reason reason = PF_REASON_NONE;
        pf_time at = PF_NEVER;
        enum pf_step step =
            pf_overdue_step(&cases[i].slot, &policy, cases[i].now, &reason, &at);
        if (step != cases[i].step || reason != cases[i].reason || at != cases[i].at)
            fail_msg("%s: step %d, %s, next look at %lld", cases[i].name, (int)step,
                     pf_reason_text(reason), (long long)at);
    }
}

static void
no_limit_is_no_deadline(void **state)
{
    static const struct pf_policy none = {
        .start_timeout = PF_NEVER, .request_timeout = PF_NEVER, .kill_timeout = PF_NEVER};

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        enum pf_reason reason;
        pf_time at = PF_NEVER;
        assert_int_equal(pf_overdue_step(&cases[i].slot, &none, cases[i].now, &reason, &at),
                         PF_STEP_NONE);
        assert_true(at == PF_NEVER);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines),
        cmocka_unit_test(no_limit_is_no_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
