/* echo: every line comes back. The smallest useful server.
 *
 *     build/examples/echo --port 127.0.0.1:7007
 *     printf 'hello\n' | nc -N 127.0.0.1 7007 */
#include <prefork/prefork.h>

static void
echo(struct prefork_conn *c, void *data)
{
    char line[4096];
    ssize_t n;

    (void)data;
    while ((n = prefork_gets(c, line, sizeof line)) > 0) {
        if (prefork_write(c, line, (size_t)n) < 0)
            return; /* the client is gone */
    }
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "echo", .process_request = echo});
}
