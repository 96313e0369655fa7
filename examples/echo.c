/* echo: every line comes back, and every datagram. The smallest useful server.
 *
 *     build/examples/echo --port 127.0.0.1:7007 --port 127.0.0.1:7007/udp
 *     printf 'hello\n' | nc -N 127.0.0.1 7007
 *     printf 'hello\n' | nc -u -w 1 127.0.0.1 7007 */
#include <prefork/prefork.h>

static void
echo(struct prefork_conn *c, void *data)
{
    char line[4096];
    size_t size;
    const void *datagram = prefork_datagram(c, &size);
    ssize_t n;

    (void)data;
    if (datagram) {
        (void)prefork_write(c, datagram, size); /* a client that is gone asks no more */
        return;
    }
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
