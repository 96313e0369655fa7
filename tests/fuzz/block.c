/* Blocks of addresses, one in a line: first is not above last, and both ends of every block
 * are found in the set. */
#include "net/block.h"

#include "fuzz.h"

#include <string.h>

static void
require_found(const struct pf_blocks *set, const struct pf_block *block)
{
    char text[128];

    REQUIRE(memcmp(block->first.bytes, block->last.bytes, sizeof block->first.bytes) <= 0);
    REQUIRE(block->first.version == block->last.version);
    REQUIRE(pf_blocks_find(set, &block->first));
    REQUIRE(pf_blocks_find(set, &block->last));
    pf_block_format(block, text, sizeof text);
    REQUIRE(text[0] != '\0');
}

enum {
    BLOCKS_MAX = 256,
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pf_block blocks[BLOCKS_MAX];
    struct pf_blocks set = {0};
    char *text = text_of(data, size);
    char *rest = text;
    unsigned count = 0;

    while (rest && count < BLOCKS_MAX) {
        const char *line = strsep(&rest, "\n");
        struct pf_error error = {0};
        if (pf_block_parse(line, strlen(line), &blocks[count], &error) == 0)
            REQUIRE(pf_blocks_add(&set, &blocks[count++]) == 0);
        else
            REQUIRE(error.text[0] != '\0');
    }
    pf_blocks_seal(&set);
    for (unsigned i = 0; i < count; i++)
        require_found(&set, &blocks[i]);
    pf_blocks_deinit(&set);
    free(text);
    return 0;
}
