/* hold: a connection lasts as long as the client likes.
 *
 * Says "PID\n" at once, then waits for one byte (or the end of the stream), says "done\n"
 * and closes. The busy worker is the one whose pid the client was told. */
#include <prefork/prefork.h>

#include <unistd.h>

static void
hold(struct prefork_conn *c, void *data)
{
    char byte;

    (void)data;
    if (prefork_printf(c, "%d\n", (int)getpid()) < 0)
        return;
    if (prefork_read(c, &byte, 1) > 0)
        (void)prefork_printf(c, "done\n");
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "hold", .process_request = hold});
}
