/* A fuzz target without a fuzzer: the seeds, then mutations of them.
 *
 * The mutations come from a generator with a fixed start, so that a failure is found again
 * by running the program again. It prints the number of the input before it gives up. */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

enum {
    SEEDS_MAX = 64,
    INPUT_MAX = 8192,
    MUTATIONS = 20000,
    CHANGES_MAX = 8,
};

struct input {
    size_t size;
    uint8_t bytes[INPUT_MAX];
};

static struct input seeds[SEEDS_MAX];
static unsigned seed_count;
static uint64_t state = 1;

/* xorshift64 */
static uint32_t
random_below(uint32_t bound)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return bound > 0 ? (uint32_t)(state >> 32) % bound : 0;
}

static void
read_seed(const char *directory, const char *name)
{
    struct input *seed = &seeds[seed_count];
    char path[4096];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "rb");
    REQUIRE(file);
    seed->size = fread(seed->bytes, 1, sizeof seed->bytes, file);
    (void)fclose(file);
    seed_count++;
}

static int
compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void
read_seeds(const char *directory)
{
    struct dirent **entries;
    int count = scandir(directory, &entries, NULL, compare_names);

    REQUIRE(count >= 0);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.' && seed_count < SEEDS_MAX)
            read_seed(directory, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    REQUIRE(seed_count > 0);
}

static void
insert(struct input *input, const uint8_t *bytes, size_t size)
{
    size_t at = random_below((uint32_t)input->size + 1);

    if (size > INPUT_MAX - input->size)
        size = INPUT_MAX - input->size;
    memmove(input->bytes + at + size, input->bytes + at, input->size - at);
    memcpy(input->bytes + at, bytes, size);
    input->size += size;
}

static void
cut(struct input *input)
{
    size_t at = random_below((uint32_t)input->size);
    size_t size = random_below((uint32_t)(input->size - at)) + 1;

    memmove(input->bytes + at, input->bytes + at + size, input->size - at - size);
    input->size -= size;
}

static void
change(struct input *input)
{
    const struct input *other = &seeds[random_below(seed_count)];
    uint8_t byte = (uint8_t)random_below(256);
    size_t at = random_below((uint32_t)other->size);

    switch (random_below(4)) {
    case 0: insert(input, &byte, 1); break;
    case 1:
        insert(input, other->bytes + at, random_below((uint32_t)(other->size - at) + 1));
        break;
    case 2:
        if (input->size > 0)
            cut(input);
        break;
    default:
        if (input->size > 0)
            input->bytes[random_below((uint32_t)input->size)] = byte;
    }
}

/* In memory of exactly its size, so that a sanitizer sees the end of it. */
static void
run(const struct input *input)
{
    uint8_t *exact = malloc(input->size > 0 ? input->size : 1);

    REQUIRE(exact);
    memcpy(exact, input->bytes, input->size);
    (void)LLVMFuzzerTestOneInput(exact, input->size);
    free(exact);
}

int
main(int argc, char **argv)
{
    static struct input input;

    REQUIRE(argc == 2);
    read_seeds(argv[1]);
    for (unsigned i = 0; i < seed_count; i++)
        run(&seeds[i]);
    for (unsigned i = 0; i < MUTATIONS; i++) {
        input = seeds[random_below(seed_count)];
        for (unsigned n = random_below(CHANGES_MAX) + 1; n > 0; n--)
            change(&input);
        run(&input);
    }
    (void)printf("%u seeds, %d mutations\n", seed_count, (int)MUTATIONS);
    return 0;
}
