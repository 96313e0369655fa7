/* Replacing a few at a time. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "core/recycle.h"

enum { SLOTS = 8 };

static const struct pf_policy policy = {.max_servers = SLOTS, .max_recycling = 3};

static const struct room {
    const char *name;
    unsigned starting;
    unsigned recycling; /* asked for max_requests */
    unsigned surplus;   /* asked for another reason */
    unsigned bad_starts;
    unsigned refused;
    unsigned births; /* planned */
    unsigned room;
} rooms[] = {
    {"nobody under way", 0, 0, 0, 0, 0, 0, 3},
    {"one leaves", 0, 1, 0, 0, 0, 0, 2},
    {"one leaves, one starts", 1, 1, 0, 0, 0, 0, 1},
    {"as many as may", 0, 3, 0, 0, 0, 0, 0},
    {"more than may", 4, 2, 0, 0, 0, 0, 0},
    {"leaving for another reason", 0, 0, 4, 0, 0, 0, 3},
    {"one bad start", 0, 0, 0, 1, 0, 0, 3},
    {"births fail", 0, 0, 0, 2, 0, 0, 0},
    {"one is to be born", 0, 1, 0, 0, 0, 1, 1},
    {"fork is refused", 0, 0, 0, 0, 1, 0, 0},
};

static void
room_is_shared(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(rooms); i++) {
        const struct room *r = &rooms[i];
        struct pf_slot slots[SLOTS];
        struct pf_pool pool;
        unsigned n = 0;
        pf_pool_init(&pool, slots, SLOTS, 1, 0);
        for (; n < r->starting + r->recycling + r->surplus; n++)
            pf_pool_born(&pool, n, PF_KIND_WORKER, 1000, 0);
        for (unsigned k = r->starting; k < n; k++)
            pf_pool_asked(&pool, k,
                          k < r->starting + r->recycling ? PF_REASON_MAX_REQUESTS
                                                         : PF_REASON_QUIET);
        pool.start.streak = r->bad_starts;
        pool.fork.streak = r->refused;
        if (pf_recycle_room(&pool, &policy, r->births) != r->room)
            fail_msg("%s: %u", r->name, pf_recycle_room(&pool, &policy, r->births));
    }
}

static const struct {
    const char *name;
    struct pf_slot slot;
    enum pf_reason reason; /* with births up to 10 outdated */
} who[] = {
    {"idle", {.life = PF_LIFE_IDLE, .birth = 11}, PF_REASON_NONE},
    {"has served its share",
     {.life = PF_LIFE_IDLE, .birth = 11, .told.wants_leave = true},
     PF_REASON_MAX_REQUESTS},
    {"busy with its last",
     {.life = PF_LIFE_BUSY, .birth = 11, .told.wants_leave = true},
     PF_REASON_MAX_REQUESTS},
    {"outdated", {.life = PF_LIFE_BUSY, .birth = 10}, PF_REASON_OUTDATED},
    {"both",
     {.life = PF_LIFE_IDLE, .birth = 10, .told.wants_leave = true},
     PF_REASON_MAX_REQUESTS},
    {"outdated, starting", {.life = PF_LIFE_STARTING, .birth = 10}, PF_REASON_NONE},
    {"leaves already",
     {.life = PF_LIFE_DRAINING, .birth = 10, .told.wants_leave = true},
     PF_REASON_NONE},
    {"signalled", {.life = PF_LIFE_STOPPING, .birth = 10}, PF_REASON_NONE},
    {"gone", {.life = PF_LIFE_GONE, .birth = 10}, PF_REASON_NONE},
    {"vacant", {.life = PF_LIFE_VACANT}, PF_REASON_NONE},
};

static void
who_is_replaced(void **state)
{
    const struct pf_pool pool = {.outdated = 10};

    (void)state;
    for (size_t i = 0; i < PF_COUNT(who); i++) {
        enum pf_reason reason = pf_recycle_reason(&pool, &who[i].slot);
        if (reason != who[i].reason)
            fail_msg("%s: %s", who[i].name, pf_reason_text(reason));
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_is_shared),
        cmocka_unit_test(who_is_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
