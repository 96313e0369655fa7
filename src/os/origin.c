/* The arguments of the process, kept before anybody can change them.
 *
 * A library has them from glibc's constructor call, as os/title.c does. They are copied
 * there: a title is written where argv[0] was, and getopt(3) rearranges the vector. */
#include "os/origin.h"

#include <stdlib.h>
#include <string.h>

static char **arguments;

static size_t
bytes_of(int argc, char **argv)
{
    size_t bytes = 0;

    for (int i = 0; i < argc; i++)
        bytes += strlen(argv[i]) + 1;
    return bytes;
}

/* The vector, and the texts behind it. */
__attribute__((constructor)) static void
keep_arguments(int argc, char **argv)
{
    size_t vector_bytes = ((size_t)argc + 1) * sizeof *argv;
    char **copy = malloc(vector_bytes + bytes_of(argc, argv));
    char *text = copy ? (char *)copy + vector_bytes : NULL;

    for (int i = 0; copy && i < argc; i++) {
        size_t bytes = strlen(argv[i]) + 1;
        copy[i] = memcpy(text, argv[i], bytes);
        text += bytes;
    }
    if (copy)
        copy[argc] = NULL;
    arguments = copy;
}

char *const *
pf_origin_arguments(void)
{
    return arguments;
}
