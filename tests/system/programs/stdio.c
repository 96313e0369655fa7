/* stdio: a service that reads and prints (no_client_stdout 0).
 *
 * Reads one line from standard input and prints it back with what it is called with; tells
 * in the log what standard input and output are once the connection is closed. */
#include <prefork/prefork.h>

#include <stdio.h>
#include <unistd.h>

static void
serve(struct prefork_conn *c, void *data)
{
    char line[256] = "";

    (void)c;
    (void)data;
    if (fgets(line, sizeof line, stdin))
        (void)printf("read %s", line);
    else
        (void)printf("read nothing\n");
}

static void
after(struct prefork_worker *w, void *data)
{
    char in[256] = "";
    char out[256] = "";

    (void)w;
    (void)data;
    (void)!readlink("/proc/self/fd/0", in, sizeof in - 1);
    (void)!readlink("/proc/self/fd/1", out, sizeof out - 1);
    prefork_log(PREFORK_LOG_NOTICE, "after: in %s out %s", in, out);
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "stdio",
                                              .process_request = serve,
                                              .post_client_connection_hook = after});
}
