/* Keys of tickets: processes that share a secret agree, and older keys are gone. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "tls/ticket.h"

#include <string.h>

#define START    (5 * PF_SECOND)
#define ROTATION (10 * PF_SECOND)

static struct pf_ticket_keys
fresh(void)
{
    struct pf_ticket_keys keys;

    assert_int_equal(pf_ticket_init(&keys, START, ROTATION), 0);
    return keys;
}

static void
assert_same(const struct pf_ticket_epoch *a, const struct pf_ticket_epoch *b)
{
    assert_memory_equal(a, b, sizeof *a);
}

static void
test_steps_or_a_leap(void **state)
{
    struct pf_ticket_keys one = fresh();
    struct pf_ticket_keys other = one;

    (void)state;
    for (pf_time now = START; now <= START + 7 * ROTATION; now += PF_SECOND)
        pf_ticket_advance(&one, now);
    pf_ticket_advance(&other, START + 7 * ROTATION + PF_SECOND);
    assert_int_equal(one.number, 7);
    assert_memory_equal(&one, &other, sizeof one);
}

static void
test_the_present_becomes_the_previous(void **state)
{
    struct pf_ticket_keys keys = fresh();
    struct pf_ticket_epoch before = keys.present;

    (void)state;
    pf_ticket_advance(&keys, START + ROTATION - 1);
    assert_same(&keys.present, &before);
    pf_ticket_advance(&keys, START + ROTATION);
    assert_same(&keys.previous, &before);
    assert_memory_not_equal(&keys.present, &before, sizeof before);
}

static void
test_older_keys_are_gone(void **state)
{
    struct pf_ticket_keys keys = fresh();
    struct pf_ticket_keys before = keys;
    const unsigned char *bytes = (const unsigned char *)&keys;

    (void)state;
    pf_ticket_advance(&keys, START + 2 * ROTATION);
    for (size_t i = 0; i + PF_TICKET_KEY_BYTES <= sizeof keys; i++) {
        assert_memory_not_equal(bytes + i, before.secret, PF_TICKET_KEY_BYTES);
        assert_memory_not_equal(bytes + i, before.present.cipher, PF_TICKET_KEY_BYTES);
        assert_memory_not_equal(bytes + i, before.present.mac, PF_TICKET_KEY_BYTES);
    }
}

static void
test_time_does_not_go_back(void **state)
{
    struct pf_ticket_keys keys = fresh();
    struct pf_ticket_keys later;

    (void)state;
    pf_ticket_advance(&keys, START + 3 * ROTATION);
    later = keys;
    pf_ticket_advance(&keys, START);
    assert_memory_equal(&keys, &later, sizeof keys);
}

static void
test_every_server_has_its_own(void **state)
{
    struct pf_ticket_keys a = fresh();
    struct pf_ticket_keys b = fresh();

    (void)state;
    assert_memory_not_equal(&a.present, &b.present, sizeof a.present);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_or_a_leap),
        cmocka_unit_test(test_the_present_becomes_the_previous),
        cmocka_unit_test(test_older_keys_are_gone),
        cmocka_unit_test(test_time_does_not_go_back),
        cmocka_unit_test(test_every_server_has_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
