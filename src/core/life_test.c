/* The whole table of lives: every state, every event. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "core/life.h"

/* The next state by its first letter: Vacant Starting Idle Busy Draining sTopping Gone;
 * '-': cannot happen. Columns: born ready takes done asked signalled died buried. */
static const char *const table[PF_LIFE_COUNT_OF] = {
    [PF_LIFE_VACANT] = "S-------",   [PF_LIFE_STARTING] = "-IBIDTG-",
    [PF_LIFE_IDLE] = "-IBIDTG-",     [PF_LIFE_BUSY] = "-IBIDTG-",
    [PF_LIFE_DRAINING] = "-DDDDTG-", [PF_LIFE_STOPPING] = "-TTTTTG-",
    [PF_LIFE_GONE] = "-------V",
};

static void
every_event_in_every_life(void **state)
{
    static const char letters[] = "VSIBDTG-";

    (void)state;
    for (unsigned life = 0; life < PF_LIFE_COUNT_OF; life++) {
        for (unsigned event = 0; event < PF_LIFE_EVENT_COUNT_OF; event++) {
            enum pf_life next = pf_life_next((enum pf_life)life, (enum pf_life_event)event);
            if (letters[next] != table[life][event])
                fail_msg("%s, event %u: %c, not %c", pf_life_name((enum pf_life)life),
                         event, letters[next], table[life][event]);
        }
    }
}

static void
gossip_never_brings_back(void **state)
{
    static const enum pf_life_event gossip[] = {PF_LIFE_READY, PF_LIFE_TAKES, PF_LIFE_DONE};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pf_life_next(PF_LIFE_DRAINING, gossip[i]), PF_LIFE_DRAINING);
        assert_int_equal(pf_life_next(PF_LIFE_STOPPING, gossip[i]), PF_LIFE_STOPPING);
    }
}

static void
who_lives_and_who_serves(void **state)
{
    static const char alive[] = "0111110";
    static const char serving[] = "0111000";

    (void)state;
    for (unsigned life = 0; life < PF_LIFE_COUNT_OF; life++) {
        assert_int_equal(pf_life_alive((enum pf_life)life), alive[life] == '1');
        assert_int_equal(pf_life_serving((enum pf_life)life), serving[life] == '1');
        assert_non_null(pf_life_name((enum pf_life)life));
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_in_every_life),
        cmocka_unit_test(gossip_never_brings_back),
        cmocka_unit_test(who_lives_and_who_serves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
