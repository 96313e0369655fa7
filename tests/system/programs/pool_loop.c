/* pool_loop: workers with a loop of their own, one piece of work each.
 *
 *     LOOP_GATE   the work lasts as long as somebody locks this file (flock(2))
 *     LOOP_CRASH  while this exists, the loop crashes at once
 *
 * Says "PID works", "PID did it" and "PID leaves" in the log; births too. */
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

static void
say(const char *what)
{
    prefork_log(PREFORK_LOG_NOTICE, "%d %s", (int)getpid(), what);
}

static void
work(void)
{
    const char *path = getenv("LOOP_GATE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    say("works");
    while (fd >= 0 && flock(fd, LOCK_SH) < 0 && errno == EINTR)
        continue;
    if (fd >= 0)
        (void)close(fd);
    say("did it");
}

static void
loop(struct prefork_worker *w, void *data)
{
    const char *crash = getenv("LOOP_CRASH");

    (void)data;
    if (crash && access(crash, F_OK) == 0)
        abort();
    prefork_busy(w);
    work();
    prefork_idle(w);
    while (prefork_wait(w, -1, -1) == 0)
        continue;
    say("leaves");
}

static void
born(pid_t pid, enum prefork_kind kind, void *data)
{
    (void)kind;
    (void)data;
    prefork_log(PREFORK_LOG_NOTICE, "born %d", (int)pid);
}

int
main(int argc, char **argv)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "pool_loop",
                                              .register_child = born,
                                              .main_loop = loop});
}
