/* The arguments of the process, kept before anybody can change them.
 *
 * A library has them from glibc's constructor call, as os/title.c does. They are copied
 * there: a title is written where argv[0] was, and getopt(3) rearranges the vector. */
#include "os/origin.h"

#include <stdlib.h>
#include <string.h>

static char **arguments;

__attribute__((constructor)) static void
keep_arguments(int argc, char **argv)
{
    char **copy = calloc((size_t)argc + 1, sizeof *copy);

    for (int i = 0; copy && i < argc; i++) {
        copy[i] = strdup(argv[i]);
        if (!copy[i])
            return; /* there is no memory, so there will be no server */
    }
    arguments = copy;
}

char *const *
pf_origin_arguments(void)
{
    return arguments;
}
