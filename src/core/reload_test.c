/* A file seen again and again: what each look comes to, and when the next one is due. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "core/reload.h"

#define NOW   (100 * PF_SECOND)
#define EVERY (2 * PF_SECOND)

/* States of a file by letters: "-" is missing, any other letter one state. */
static struct pf_identity
state_of(char letter)
{
    if (letter == '-')
        return (struct pf_identity){0};
    return (struct pf_identity){
        .there = true, .device = 1, .inode = 7, .size = 10, .written_ns = letter};
}

/* News by letters: same, unsettled, missing, changed. */
static const char news_letters[] = {
    [PF_RELOAD_SAME] = '.',
    [PF_RELOAD_UNSETTLED] = 'u',
    [PF_RELOAD_MISSING] = 'm',
    [PF_RELOAD_CHANGED] = 'C',
};

static const struct {
    const char *name;
    const char *looks; /* the first one is how the file was loaded */
    const char *news;  /* of the looks after it */
} files[] = {
    {"nothing happens", "aaaa", "..."},
    {"changed before the first look", "abbb", "uC."},
    {"once per change", "abbbbaaa", "uC..uC."},
    {"written slowly", "abcdeee", "uuuuC."},
    {"changed and back between looks", "abaaa", "u..."},
    {"replaced", "a-bb", "uuC"},
    {"missing for long, told once", "a---b-b-b", "um.uuuuu"},
    {"away and back as it was", "a---aaa", "um...."},
    {"away again is told again", "a--a--", "um.um"},
    {"missing from the beginning", "---bb", "m.uC"},
};

static void
a_file_is_judged_by_two_looks(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(files); i++) {
        struct pf_reload r = {.every = EVERY, .count = 1};
        print_message("%s\n", files[i].name);
        r.files[0].handled = state_of(files[i].looks[0]);
        pf_reload_start(&r, false, NOW);
        for (size_t k = 1; files[i].looks[k] != '\0'; k++) {
            struct pf_identity now = state_of(files[i].looks[k]);
            char news = news_letters[pf_reload_saw(&r.files[0], &now)];
            assert_int_equal(news, files[i].news[k - 1]);
        }
    }
}

static void
each_part_of_an_identity_counts(void **state)
{
    const struct pf_identity a = {true, 1, 2, 3, 4};
    const struct pf_identity others[] = {
        {false, 1, 2, 3, 4}, {true, 9, 2, 3, 4}, {true, 1, 9, 3, 4},
        {true, 1, 2, 9, 4},  {true, 1, 2, 3, 9},
    };

    (void)state;
    assert_true(pf_identity_equal(&a, &a));
    for (size_t i = 0; i < PF_COUNT(others); i++)
        assert_false(pf_identity_equal(&a, &others[i]));
}

static struct pf_reload
started(bool told)
{
    struct pf_reload r = {.every = EVERY, .count = 1};

    pf_reload_start(&r, told, NOW);
    return r;
}

static void
the_first_look_comes_in_any_case(void **state)
{
    (void)state;
    for (int told = 0; told < 2; told++) {
        struct pf_reload r = started(told);
        assert_false(pf_reload_due(&r, NOW + EVERY - 1));
        assert_true(pf_reload_due(&r, NOW + EVERY));
    }
}

static void
without_news_there_is_a_look_every_interval(void **state)
{
    struct pf_reload r = started(false);

    (void)state;
    assert_true(pf_reload_looked(&r, false, NOW));
    assert_true(r.look_at == NOW + EVERY);
}

static void
who_is_told_sleeps_when_all_is_quiet(void **state)
{
    struct pf_reload r = started(true);

    (void)state;
    assert_false(pf_reload_looked(&r, true, NOW));
    assert_true(r.look_at == NOW + EVERY);
    assert_true(pf_reload_looked(&r, false, NOW + EVERY));
    assert_true(r.look_at == PF_NEVER);
}

/* One look to compare with, one an interval later, and only then quiet: also where what
 * happens is of no interest. */
static void
what_is_heard_causes_two_looks(void **state)
{
    struct pf_reload r = started(true);

    (void)state;
    assert_true(pf_reload_looked(&r, false, NOW));
    pf_reload_heard(&r, NOW + 1);
    assert_true(pf_reload_due(&r, NOW + 1));
    assert_false(pf_reload_looked(&r, false, NOW + 1));
    assert_true(r.look_at == NOW + 1 + EVERY);
    assert_true(pf_reload_looked(&r, false, NOW + 1 + EVERY));
    assert_true(r.look_at == PF_NEVER);
}

static void
without_files_nothing_is_ever_due(void **state)
{
    struct pf_reload r = {.every = EVERY};

    (void)state;
    pf_reload_start(&r, false, NOW);
    assert_true(r.look_at == PF_NEVER);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_judged_by_two_looks),
        cmocka_unit_test(each_part_of_an_identity_counts),
        cmocka_unit_test(the_first_look_comes_in_any_case),
        cmocka_unit_test(without_news_there_is_a_look_every_interval),
        cmocka_unit_test(who_is_told_sleeps_when_all_is_quiet),
        cmocka_unit_test(what_is_heard_causes_two_looks),
        cmocka_unit_test(without_files_nothing_is_ever_due),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
