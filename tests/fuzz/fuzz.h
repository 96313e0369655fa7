/* A fuzz target: one function that takes any bytes and must come back.
 *
 * Each target is built twice: with libFuzzer (./dev fuzz), which looks for bytes that reach
 * new code, and with replay.c (./dev test), which runs the seeds and some thousand
 * mutations of them, the same ones each time. */
#ifndef PF_TESTS_FUZZ_H
#define PF_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What has to hold whatever the input is. */
#define REQUIRE(condition)                                                                 \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,        \
                          #condition);                                                     \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

/* A copy with a null byte behind it, to be freed by the caller. */
static inline char *
text_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    REQUIRE(text);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)data[i];
    text[size] = '\0';
    return text;
}

#endif
