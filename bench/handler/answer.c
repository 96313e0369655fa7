/* The same work as the bare loop's, as a callback: read a line (or a datagram), answer it.
 */
#include <prefork/prefork.h>

#include <string.h>

static void
answer(struct prefork_conn *c, void *data)
{
    char buffer[1024];
    ssize_t n;

    (void)data;
    do
        n = prefork_read(c, buffer, sizeof buffer);
    while (n > 0 && !memchr(buffer, '\n', (size_t)n));
    if (n > 0)
        (void)prefork_write(c, "hello\n", 6); /* a client that is gone is counted there */
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "answer", .process_request = answer});
}
