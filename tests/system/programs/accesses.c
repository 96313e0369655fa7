/* A server that writes to its access log what it is told.
 *
 * A connection sends lines "COUNT TEXT"; TEXT is written COUNT times, with the process and
 * a number before it, and the answer is the last result. A line "quiet" writes nothing.
 * From the environment:
 *
 *   MASTER  hooks of the master and of a worker's birth write a line with their name
 *   AFTER   post_client_connection_hook writes one */
#include <prefork/prefork.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
after_init(void *data)
{
    (void)data;
    if (getenv("MASTER"))
        prefork_log(PREFORK_LOG_NOTICE, "in after_init: %d",
                    prefork_access_log("after_init"));
    return 0;
}

static int
post_configure(struct prefork *p, void *data)
{
    (void)p;
    (void)data;
    if (getenv("MASTER"))
        prefork_log(PREFORK_LOG_NOTICE, "too early: %d", prefork_access_log("too early"));
    return 0;
}

static int
init(struct prefork_worker *w, void *data)
{
    (void)w;
    (void)data;
    if (getenv("MASTER"))
        prefork_access_log("child_init");
    return 0;
}

static void
after(struct prefork_worker *w, void *data)
{
    (void)w;
    (void)data;
    if (getenv("AFTER"))
        prefork_access_log("after");
}

static int
write_lines(char *line)
{
    char *text;
    long count = strtol(line, &text, 10);
    int r = 0;

    text[strcspn(text, "\n")] = '\0';
    for (long i = 0; i < count; i++)
        r = prefork_access_log("%d %ld%s", (int)getpid(), i, text);
    return r;
}

static void
serve(struct prefork_conn *c, void *data)
{
    char line[1024];

    (void)data;
    while (prefork_gets(c, line, sizeof line) > 0)
        prefork_printf(c, "%d\n", write_lines(line));
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){
                            .name = "accesses",
                            .post_configure_hook = post_configure,
                            .after_init = after_init,
                            .child_init_hook = init,
                            .process_request = serve,
                            .post_client_connection_hook = after,
                        });
}
