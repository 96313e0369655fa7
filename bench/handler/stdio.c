/* The same work as answer.c for code that reads standard input and writes standard output,
 * with the setting no_client_stdout 0. */
#include <prefork/prefork.h>

#include <stdio.h>

static void
answer(struct prefork_conn *c, void *data)
{
    char line[1024];

    (void)c;
    (void)data;
    if (fgets(line, sizeof line, stdin))
        (void)fputs("hello\n", stdout);
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "stdio", .process_request = answer});
}
