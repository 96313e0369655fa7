/* Says which of its files changed, and can have them change at awkward moments.
 *
 * With HANDLER in the environment there is an auto_reload_handler, which logs the path.
 * TOUCH names a file whose time is set when settings are parsed: after it was loaded and
 * before anybody looks. REPLACE names a file that takes the place of this program before
 * the library is called. The answer to a client is one line with the worker's pid. Also a
 * shared object. */
#include <prefork/prefork.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int
touch(struct prefork *p, void *data)
{
    const char *path = getenv("TOUCH");

    (void)p;
    (void)data;
    return path ? utimensat(AT_FDCWD, path, NULL, 0) : 0;
}

static void
handle(const char *path, void *data)
{
    prefork_log(PREFORK_LOG_NOTICE, "handler: %s%s", path, data ? "" : " WITHOUT DATA");
}

static void
close_shared(void *data)
{
    (void)data;
    prefork_log(PREFORK_LOG_NOTICE, "hook: restart_close");
}

static void
answer(struct prefork_conn *c, void *data)
{
    char line[80];

    (void)data;
    (void)prefork_gets(c, line, sizeof line);
    (void)prefork_printf(c, "%d\n", (int)getpid());
}

static struct prefork_app app = {
    .name = "reload",
    .data = &app,
    .post_configure_hook = touch,
    .restart_close_hook = close_shared,
    .process_request = answer,
};

PREFORK_MODULE(app);

int
main(int argc, char **argv)
{
    const char *next = getenv("REPLACE");

    if (next && rename(next, argv[0]) != 0)
        return 1;
    if (getenv("HANDLER"))
        app.auto_reload_handler = handle;
    return prefork_main(argc, argv, &app);
}
