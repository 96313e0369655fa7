/* What the master says: read as sd_notify(3) has it, whatever comes. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/attr.h"
#include "keeper/word.h"

#include <string.h>

static void
words_are_read(void **state)
{
    static const struct {
        const char *text;
        struct pf_word word;
    } cases[] = {
        {"", {0}},
        {"\n\n", {0}},
        {"READY=1", {.ready = true}},
        {"READY=1\n", {.ready = true}},
        {"READY=10\n", {0}},
        {"STATUS=READY=1\n", {0}},
        {"STATUS=x\nSTOPPING=1\n", {.stopping = true}},
        {"FDSTORE=1\nFDNAME=prefork.l.0\n", {.store = true, .name = "prefork.l.0"}},
        {"FDNAME=a\nFDSTOREREMOVE=1", {.remove = true, .name = "a"}},
        {"FDNAME=\n", {0}},
        {"ERRNO=13\n", {.errnum = 13}},
        {"FDNAME=12345678901234567890123456789012345678901234567\n",
         {.name = "12345678901234567890123456789012345678901234567"}},
        {"FDNAME=123456789012345678901234567890123456789012345678\n", {0}},
    };

    (void)state;
    for (size_t i = 0; i < PF_COUNT(cases); i++) {
        struct pf_word word;
        memset(&word, 0xff, sizeof word);
        pf_word_read(cases[i].text, &word);
        assert_int_equal(word.ready, cases[i].word.ready);
        assert_int_equal(word.stopping, cases[i].word.stopping);
        assert_int_equal(word.store, cases[i].word.store);
        assert_int_equal(word.remove, cases[i].word.remove);
        assert_int_equal(word.errnum, cases[i].word.errnum);
        assert_string_equal(word.name, cases[i].word.name);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
