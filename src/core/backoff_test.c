/* Pauses: how they double, where they end, how far jitter moves them. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "core/backoff.h"

#define NOW (100 * PF_SECOND)

static const struct {
    const char *name;
    unsigned forgiven;
    unsigned failures;
    pf_time pause; /* without jitter */
} pauses[] = {
    {"the first is forgiven", 1, 1, 0},
    {"the second is not", 1, 2, PF_SECOND},
    {"it doubles", 1, 3, 2 * PF_SECOND},
    {"and doubles", 1, 5, 8 * PF_SECOND},
    {"up to the longest", 1, 6, 10 * PF_SECOND},
    {"and stays there", 1, 5000, 10 * PF_SECOND},
    {"nothing forgiven", 0, 1, PF_SECOND},
    {"nothing forgiven, twice", 0, 2, 2 * PF_SECOND},
};

static struct pf_backoff
after(unsigned forgiven, unsigned failures, uint32_t random)
{
    struct pf_backoff b = {
        .forgiven = forgiven, .first = PF_SECOND, .longest = 10 * PF_SECOND};

    for (unsigned i = 0; i < failures; i++)
        pf_backoff_fail(&b, NOW, random);
    return b;
}

static void
pauses_double(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(pauses); i++) {
        pf_time pause = pauses[i].pause;
        struct pf_backoff low = after(pauses[i].forgiven, pauses[i].failures, 0);
        struct pf_backoff high = after(pauses[i].forgiven, pauses[i].failures, UINT32_MAX);
        print_message("%s\n", pauses[i].name);
        assert_true(low.next_at == NOW + pause - pause / 4);
        assert_true(high.next_at > NOW + pause || pause == 0);
        assert_true(high.next_at <= NOW + pause + pause / 4);
        assert_int_equal(pf_backoff_cautious(&low), pause > 0);
    }
}

static void
a_pause_ends_at_its_moment(void **state)
{
    struct pf_backoff b = after(0, 3, 12345);

    (void)state;
    assert_false(pf_backoff_may_try(&b, b.next_at - 1));
    assert_true(pf_backoff_may_try(&b, b.next_at));
}

static void
success_forgets(void **state)
{
    struct pf_backoff b = after(0, 30, 12345);

    (void)state;
    pf_backoff_succeed(&b);
    assert_true(pf_backoff_may_try(&b, 0));
    assert_false(pf_backoff_cautious(&b));
    pf_backoff_fail(&b, NOW, 0);
    assert_true(b.next_at < NOW + PF_SECOND);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_double),
        cmocka_unit_test(a_pause_ends_at_its_moment),
        cmocka_unit_test(success_forgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
