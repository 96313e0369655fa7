/* solo: a loop of its own that says what happens, to be run without workers.
 *
 *     SOLO   wait     until it should leave, in prefork_wait()
 *            look     until it should leave, asking prefork_stopping()
 *            return   not at all
 *            stuck    for ever, without looking
 *            stop     ask the server to stop, and wait
 *            early    the same, in a hook of the start
 *            fork     have a child that sleeps, and wait
 *            done     leave by its own will
 *     SOLO_REFUSE     child_init_hook refuses
 *     SOLO_HANG       child_finish_hook does not come back
 *     SOLO_LATE       the server is signalled once more when all its workers are gone
 *     SOLO_LABEL      the master's title, set in after_init
 *
 * Lines are "PLACE parent=N", N being prefork_is_parent(). */
#include <prefork/prefork.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
is(const char *mode)
{
    const char *wanted = getenv("SOLO");

    return wanted && strcmp(wanted, mode) == 0;
}

static void
say(const char *place)
{
    prefork_log(PREFORK_LOG_NOTICE, "%s parent=%d", place, prefork_is_parent());
}

static int
after_init(void *data)
{
    const char *label = getenv("SOLO_LABEL");

    (void)data;
    say("after_init");
    if (label)
        prefork_set_label(NULL, "%s", label);
    if (is("early"))
        prefork_stop("too early");
    return chdir("/");
}

static int
pre_loop(void *data)
{
    (void)data;
    say("pre_loop");
    return 0;
}

static int
init(struct prefork_worker *w, void *data)
{
    (void)w;
    (void)data;
    say("child_init");
    return getenv("SOLO_REFUSE") ? 7 : 0;
}

/* Also called in a signal handler: nothing but write(2) and sleep. */
static void
finish(struct prefork_worker *w, void *data)
{
    static const char line[] = "child_finish\n";
    ssize_t n = write(STDERR_FILENO, line, sizeof line - 1);

    (void)n;
    (void)w;
    (void)data;
    while (getenv("SOLO_HANG"))
        (void)pause();
}

static void
before_shutdown(const char *reason, void *data)
{
    char line[80] = "before_shutdown ";
    ssize_t n;

    (void)data;
    (void)strncat(line, reason, 40);
    (void)strcat(line, "\n");
    n = write(STDERR_FILENO, line, strlen(line));
    (void)n;
}

static void
pre_close(void *data)
{
    (void)data;
    say("pre_server_close");
}

static void
cleaned(void *data)
{
    (void)data;
    say("post_child_cleanup");
    if (getenv("SOLO_LATE")) {
        (void)kill(getpid(), SIGTERM);
        (void)kill(getpid(), SIGHUP);
    }
}

static void
have_child(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        prefork_log(PREFORK_LOG_NOTICE, "child %d parent=%d", (int)getpid(),
                    prefork_is_parent());
        for (;;)
            (void)pause();
    }
}

static void
loop(struct prefork_worker *w, void *data)
{
    (void)data;
    prefork_log(PREFORK_LOG_NOTICE, "tell %d stream %d",
                prefork_tell_parent(w, "hello") == -EPIPE, prefork_parent_fd(w));
    say("loop");
    if (is("return"))
        return;
    if (is("stop"))
        prefork_stop("enough");
    if (is("fork"))
        have_child();
    if (is("done"))
        prefork_done(w);
    while (is("stuck"))
        (void)pause();
    while (is("look") && !prefork_stopping(w))
        (void)usleep(1000);
    while (!is("look") && prefork_wait(w, -1, -1) == 0)
        continue;
    say("loop ends");
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "solo",
                                              .after_init = after_init,
                                              .pre_loop_hook = pre_loop,
                                              .child_init_hook = init,
                                              .child_finish_hook = finish,
                                              .main_loop = loop,
                                              .before_shutdown = before_shutdown,
                                              .pre_server_close_hook = pre_close,
                                              .post_child_cleanup_hook = cleaned});
}
