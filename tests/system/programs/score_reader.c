/* score_reader: takes snapshots of a scoreboard and compares what belongs together.
 *
 *     score_reader FILE SLOTS SNAPSHOTS SECONDS
 *
 * Maps the file, as another program would, and knows nothing of the library: the layout is
 * written down here once more. The workers are those of score_loop.c. Goes on until it has
 * taken so many snapshots and so many seconds are over, and then prints
 *
 *     snapshots N, whole N, unsettled N, torn N, last N
 *
 * Unsettled is a record that was being written at each of some looks: its writer had lost
 * its processor. last is the highest count of requests. Status 1: something was torn. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    WORDS = 24,
    LOOKS = 20,
    SLOTS_MAX = 1024,
    DIGITS = 16,
    ROUND = 8,      /* by which the sequence grows in a round */
    BEFORE = 3 * 2, /* and what it is before the first */
};

struct line {
    int32_t pid;
    uint8_t state;
    uint8_t reserved;
    uint16_t listener;
    int64_t born;
    int64_t request;
    int64_t updated;
    uint64_t requests;
    char proto[16];
    unsigned char ends[2][24];
    char label[88];
};

_Static_assert(sizeof(struct line) == WORDS * sizeof(uint64_t), "the documented size");

struct seen {
    int32_t pid;
    int64_t born;
    uint64_t sequence;
};

struct count {
    uint64_t snapshots;
    uint64_t whole;
    uint64_t unsettled;
    uint64_t torn;
    uint64_t last;
};

static bool
copy(const _Atomic uint64_t *record, struct line *line, uint64_t *sequence)
{
    uint64_t words[WORDS];

    *sequence = atomic_load_explicit(&record[0], memory_order_acquire);
    for (int i = 0; i < WORDS; i++)
        words[i] = atomic_load_explicit(&record[1 + i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    memcpy(line, words, sizeof words);
    return *sequence % 2 == 0 &&
           *sequence == atomic_load_explicit(&record[0], memory_order_relaxed);
}

/* The number that the label repeats, or UINT64_MAX. */
static uint64_t
number_of(const struct line *line)
{
    for (int i = 1; i < 5; i++) {
        if (memcmp(line->label, line->label + i * DIGITS, DIGITS) != 0)
            return UINT64_MAX;
    }
    return line->label[0] == '\0' ? 0 : strtoul(line->label + 4 * DIGITS, NULL, 16);
}

/* The sequence number that this line has to have; 0: none has such a line. */
static uint64_t
expected_sequence(const struct line *line)
{
    uint64_t k = number_of(line);
    uint64_t before = BEFORE + ROUND * (line->requests - 1);

    if (line->requests == 0)
        return k == 0 && line->state == '_' ? BEFORE : 0;
    if (line->state == 'R' && k == line->requests - 1)
        return before + 2;
    if (k != line->requests)
        return 0;
    return line->state == 'R'   ? before + 4
           : line->state == 'W' ? before + 6
           : line->state == '_' ? before + 8
                                : 0;
}

static bool
is_right(const struct line *line, uint64_t sequence, struct seen *seen)
{
    struct seen now = {line->pid, line->born, sequence};
    bool same = seen->pid == 0 || (seen->pid == now.pid && seen->born == now.born &&
                                   seen->sequence <= sequence);

    *seen = now;
    return same && line->pid > 0 && line->reserved == 0 && line->request <= line->updated &&
           line->born <= line->updated && line->proto[0] == '\0' &&
           sequence == expected_sequence(line);
}

static void
look(const char *file, unsigned slot, struct seen *seen, struct count *count)
{
    const _Atomic uint64_t *record = (const void *)(file + (size_t)PAGE * (1 + slot));
    struct line line;
    uint64_t sequence;
    bool whole = copy(record, &line, &sequence);

    for (int i = 1; i < LOOKS && !whole; i++)
        whole = copy(record, &line, &sequence);
    count->whole += whole;
    count->unsettled += !whole;
    if (whole && !is_right(&line, sequence, seen))
        count->torn++;
    if (whole && line.requests > count->last)
        count->last = line.requests;
}

int
main(int argc, char **argv)
{
    static struct seen seen[SLOTS_MAX];
    struct count count = {0};
    unsigned slots = argc > 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    uint64_t snapshots = argc > 4 ? strtoull(argv[3], NULL, 10) : 0;
    time_t end = time(NULL) + (argc > 4 ? strtol(argv[4], NULL, 10) : 0);
    int fd = argc > 4 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    const char *file =
        fd < 0 ? MAP_FAILED
               : mmap(NULL, (size_t)PAGE * (1 + slots), PROT_READ, MAP_SHARED, fd, 0);

    if (file == MAP_FAILED || slots == 0 || slots > SLOTS_MAX)
        return 2;
    while (count.snapshots < snapshots || time(NULL) < end) {
        for (unsigned slot = 0; slot < slots; slot++)
            look(file, slot, &seen[slot], &count);
        count.snapshots++;
    }
    printf("snapshots %lu, whole %lu, unsettled %lu, torn %lu, last %lu\n", count.snapshots,
           count.whole, count.unsettled, count.torn, count.last);
    return count.torn > 0;
}
