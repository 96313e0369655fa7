/* Lines of the scoreboard: nothing torn under fire, and what a dead writer leaves. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "link/score.h"
#include "os/share.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    READS = 200000,
};

/* Every field is made of n, so that a mixture of two shows. */
static struct pf_score_line
line_of(uint64_t n)
{
    struct pf_score_line line = {
        .pid = (int32_t)n,
        .state = (uint8_t)('A' + n % 26),
        .born = (int64_t)n,
        .request = (int64_t)n,
        .updated = (int64_t)n,
        .requests = n,
    };

    memset(line.label, (int)line.state, sizeof line.label - 1);
    return line;
}

static void
assert_whole(const struct pf_score_line *line)
{
    struct pf_score_line expected = line_of(line->requests);

    assert_memory_equal(line, &expected, sizeof expected);
}

static void
what_is_written_is_read(void **state)
{
    struct pf_score score = {0};
    struct pf_score_line line;

    (void)state;
    assert_int_equal(pf_score_glance(&score, &line), 0);
    assert_int_equal(line.pid, 0);
    for (uint64_t n = 1; n < 100; n++) {
        struct pf_score_line written = line_of(n);
        pf_score_write(&score, &written);
        assert_int_equal(pf_score_glance(&score, &line), 0);
        assert_int_equal(line.requests, n);
        assert_whole(&line);
    }
}

/* What stands behind what was written is from before. */
static void
a_part_is_written_and_the_rest_stays(void **state)
{
    struct pf_score score = {0};
    struct pf_score_line first = line_of(1), second = line_of(2), third = line_of(3), line;

    (void)state;
    pf_score_write(&score, &first);
    pf_score_write_request(&score, &second);
    assert_int_equal(pf_score_glance(&score, &line), 0);
    memcpy(second.label, first.label, sizeof second.label);
    assert_memory_equal(&line, &second, sizeof line);
    pf_score_write_state(&score, &third);
    assert_int_equal(pf_score_glance(&score, &line), 0);
    third.requests = second.requests;
    memcpy(third.label, first.label, sizeof third.label);
    assert_memory_equal(&line, &third, sizeof line);
}

PF_NORETURN static void
write_for_ever(struct pf_score *score)
{
    for (uint64_t n = 0;; n++) {
        struct pf_score_line line = line_of(n);
        pf_score_write(score, &line);
    }
}

static void
nothing_is_torn_while_it_is_written(void **state)
{
    struct pf_score *score = pf_share_open(sizeof *score);
    struct pf_score_line line;
    uint64_t last = 0;
    pid_t writer;

    (void)state;
    assert_non_null(score);
    line = line_of(0);
    pf_score_write(score, &line);
    writer = fork();
    if (writer == 0)
        write_for_ever(score);
    for (unsigned i = 0; i < READS; i++) {
        if (pf_score_glance(score, &line) != 0)
            continue; /* the writer was out of its processor for all rounds */
        assert_whole(&line);
        assert_true(line.requests >= last);
        last = line.requests;
    }
    assert_true(last > 0);
    assert_int_equal(kill(writer, SIGKILL), 0);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    pf_share_close(score, sizeof *score);
}

static void
a_writer_that_died_is_noticed_and_followed(void **state)
{
    struct pf_score score = {.sequence = 7};
    struct pf_score_line line = line_of(3);

    (void)state;
    assert_int_equal(pf_score_glance(&score, &line), PF_SCORE_E_UNSETTLED);
    line = line_of(4);
    pf_score_write(&score, &line);
    assert_int_equal(pf_score_glance(&score, &line), 0);
    assert_whole(&line);
}

static void
texts_end_whatever_is_written(void **state)
{
    struct pf_score score = {0};
    struct pf_score_line line;

    (void)state;
    memset(&line, 'x', sizeof line);
    pf_score_write(&score, &line);
    assert_int_equal(pf_score_glance(&score, &line), 0);
    assert_int_equal(strlen(line.label), sizeof line.label - 1);
    assert_int_equal(strlen(line.proto), sizeof line.proto - 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_part_is_written_and_the_rest_stays),
        cmocka_unit_test(nothing_is_torn_while_it_is_written),
        cmocka_unit_test(a_writer_that_died_is_noticed_and_followed),
        cmocka_unit_test(texts_end_whatever_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
