/* pool_once: reads once, writes once: what a connection costs with nothing around it. */
#include <prefork/prefork.h>

static void
serve(struct prefork_conn *c, void *data)
{
    char bytes[64];
    ssize_t n = prefork_read(c, bytes, sizeof bytes);

    (void)data;
    if (n > 0)
        (void)prefork_write(c, bytes, (size_t)n);
}

int
main(int argc, char **argv)
{
    return prefork_main(
        argc, argv, &(struct prefork_app){.name = "pool_once", .process_request = serve});
}
