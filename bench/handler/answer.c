/* The same work as the bare loop's, as a callback: read a line (or a datagram), answer it.
 */
#include <prefork/prefork.h>

#include <string.h>

/* A whole line came, or a datagram, which is received already. */
static bool
is_asked(struct prefork_conn *c)
{
    char buffer[1024];
    size_t size;
    ssize_t n;

    if (prefork_datagram(c, &size))
        return true;
    do
        n = prefork_read(c, buffer, sizeof buffer);
    while (n > 0 && !memchr(buffer, '\n', (size_t)n));
    return n > 0;
}

static void
answer(struct prefork_conn *c, void *data)
{
    (void)data;
    if (is_asked(c))
        (void)prefork_write(c, "hello\n", 6); /* a client that is gone is counted there */
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "answer", .process_request = answer});
}
