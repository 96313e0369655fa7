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
                                                         : PF_REASON_QUIET,
                          0);
        pool.start.streak = r->bad_starts;
        pool.fork.streak = r->refused;
        if (pf_recycle_room(&pool, &policy, r->births) != r->room)
            fail_msg("%s: %u", r->name, pf_recycle_room(&pool, &policy, r->births));
    }
}

static const struct {
    const char *name;
    struct pf_slot slot;
    bool due;
} who[] = {
    {"idle", {.life = PF_LIFE_IDLE}, false},
    {"has served its share", {.life = PF_LIFE_IDLE, .told.wants_leave = true}, true},
    {"busy with its last", {.life = PF_LIFE_BUSY, .told.wants_leave = true}, true},
    {"starting", {.life = PF_LIFE_STARTING, .told.wants_leave = true}, false},
    {"leaves already", {.life = PF_LIFE_DRAINING, .told.wants_leave = true}, false},
    {"signalled", {.life = PF_LIFE_STOPPING, .told.wants_leave = true}, false},
    {"gone", {.life = PF_LIFE_GONE, .told.wants_leave = true}, false},
    {"vacant", {.life = PF_LIFE_VACANT}, false},
    {"no worker",
     {.life = PF_LIFE_BUSY, .kind = PF_KIND_DEQUEUE, .told.wants_leave = true},
     false},
};

static void
who_is_due(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(who); i++) {
        if (pf_recycle_is_due(&who[i].slot) != who[i].due)
            fail_msg("%s", who[i].name);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_is_shared),
        cmocka_unit_test(who_is_due),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
