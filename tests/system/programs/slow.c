/* slow: takes its time until the test lets it go on.
 *
 * SLOW_INIT and SLOW_REQUEST name a FIFO: child_init_hook, or each request, waits until
 * somebody opens it for writing, and writes or closes. With SLOW_STUBBORN set, workers
 * ignore SIGTERM. A request is answered with the pid. */
#include <prefork/prefork.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void
wait_for(const char *variable)
{
    const char *path = getenv(variable);
    int fd = path ? open(path, O_RDONLY) : -1;
    char byte;

    if (fd < 0)
        return;
    (void)!read(fd, &byte, 1);
    (void)close(fd);
}

static int
init(struct prefork_worker *w, void *data)
{
    (void)w;
    (void)data;
    if (getenv("SLOW_STUBBORN"))
        (void)signal(SIGTERM, SIG_IGN);
    prefork_log(PREFORK_LOG_NOTICE, "init begins");
    wait_for("SLOW_INIT");
    return 0;
}

static void
request(struct prefork_conn *c, void *data)
{
    (void)data;
    prefork_log(PREFORK_LOG_NOTICE, "request begins");
    wait_for("SLOW_REQUEST");
    (void)prefork_printf(c, "%d\n", (int)getpid());
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "slow",
                                              .child_init_hook = init,
                                              .process_request = request});
}
