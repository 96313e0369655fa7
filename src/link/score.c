/* Lines of the scoreboard, written and read without a lock.
 *
 * A sequence lock with one writer: the number is odd while words change, and a reader whose
 * copy lies between two equal even numbers has a whole line. All words are atomic, so that
 * a copy that has to be thrown away is at least no undefined behaviour. A writer that is
 * killed between the two leaves the number odd; readers give up after some rounds, and the
 * next writer goes on from there. */
#include "link/score.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static_assert(sizeof(struct pf_score_line) == PF_SCORE_WORDS * sizeof(uint64_t),
              "a line has as many words, and no holes");

enum {
    STATE_WORDS = offsetof(struct pf_score_line, requests) / sizeof(uint64_t),
    REQUEST_WORDS = offsetof(struct pf_score_line, label) / sizeof(uint64_t),
    ROUNDS = 100, /* a writer needs less than a microsecond, if it has its processor */
};

static inline void
write_words(struct pf_score *s, const struct pf_score_line *line, unsigned count)
{
    uint64_t odd = atomic_load_explicit(&s->sequence, memory_order_relaxed) | 1;
    const char *from = (const char *)line;

    atomic_store_explicit(&s->sequence, odd, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (unsigned i = 0; i < count; i++) {
        uint64_t word;
        memcpy(&word, from + i * sizeof word, sizeof word);
        atomic_store_explicit(&s->words[i], word, memory_order_relaxed);
    }
    atomic_store_explicit(&s->sequence, odd + 1, memory_order_release);
}

void
pf_score_write(struct pf_score *s, const struct pf_score_line *line)
{
    write_words(s, line, PF_SCORE_WORDS);
}

void
pf_score_write_request(struct pf_score *s, const struct pf_score_line *line)
{
    write_words(s, line, REQUEST_WORDS);
}

void
pf_score_write_state(struct pf_score *s, const struct pf_score_line *line)
{
    write_words(s, line, STATE_WORDS);
}

static bool
copy(const struct pf_score *s, struct pf_score_line *line)
{
    uint64_t words[PF_SCORE_WORDS];
    uint64_t before = atomic_load_explicit(&s->sequence, memory_order_acquire);
    uint64_t after;

    for (unsigned i = 0; i < PF_SCORE_WORDS; i++)
        words[i] = atomic_load_explicit(&s->words[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    after = atomic_load_explicit(&s->sequence, memory_order_relaxed);
    memcpy(line, words, sizeof words);
    return before == after && before % 2 == 0;
}

int
pf_score_glance(const struct pf_score *s, struct pf_score_line *ret_line)
{
    bool whole = copy(s, ret_line);

    for (unsigned i = 0; !whole && i < ROUNDS; i++)
        whole = copy(s, ret_line);
    ret_line->proto[sizeof ret_line->proto - 1] = '\0';
    ret_line->label[sizeof ret_line->label - 1] = '\0';
    return whole ? 0 : PF_SCORE_E_UNSETTLED;
}
