/* A callback that answers with the version of its code. bench.py writes another number of
 * as many digits into a copy of the program: that is the next version. */
#include <prefork/prefork.h>

#include <string.h>

const char version_line[] = "version 00000000 says hello\n";

static void
answer(struct prefork_conn *c, void *data)
{
    char line[1024];

    (void)data;
    if (prefork_gets(c, line, sizeof line) > 0)
        (void)prefork_write(c, version_line, strlen(version_line));
}

int
main(int argc, char **argv)
{
    return prefork_main(
        argc, argv, &(struct prefork_app){.name = "version", .process_request = answer});
}
