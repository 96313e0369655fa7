/* crash: fails wherever it is told to.
 *
 * At birth, by the environment variable CRASH: "init" (child_init_hook returns 7), "birth"
 * (child_init_hook kills itself), "exit" (child_init_hook calls exit). If CRASH_WHILE names
 * a file, this happens only while that file is there.
 *
 * In a request, by its line: "pid" answers, "abort", "segv", "kill" and "exit N" end the
 * worker before it answers, "hang" never ends. */
#include <prefork/prefork.h>

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
is_asked(const char *what)
{
    const char *asked = getenv("CRASH");
    const char *path = getenv("CRASH_WHILE");

    return asked && strcmp(asked, what) == 0 && (!path || access(path, F_OK) == 0);
}

static int
init(struct prefork_worker *w, void *data)
{
    (void)w;
    (void)data;
    if (is_asked("birth"))
        (void)raise(SIGKILL);
    if (is_asked("exit"))
        _exit(9);
    return is_asked("init") ? 7 : 0;
}

static void
request(struct prefork_conn *c, void *data)
{
    char line[80] = "";

    (void)data;
    (void)prefork_gets(c, line, sizeof line);
    if (strcmp(line, "abort\n") == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        abort();
    }
    if (strcmp(line, "segv\n") == 0) {
        (void)signal(SIGSEGV, SIG_DFL); /* not the sanitizers' */
        (void)raise(SIGSEGV);
    }
    if (strcmp(line, "kill\n") == 0)
        (void)raise(SIGKILL);
    if (strncmp(line, "exit ", 5) == 0)
        _exit(atoi(line + 5));
    while (strcmp(line, "hang\n") == 0)
        (void)pause();
    (void)prefork_printf(c, "%d\n", (int)getpid());
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "crash",
                                              .child_init_hook = init,
                                              .process_request = request});
}
