/* A callback like that of answer.c, whose workers say when they were born: each writes two
 * numbers of eight bytes to the end of the file that BENCH_BIRTHS names, the nanoseconds of
 * CLOCK_MONOTONIC and those of CPU time that it has used. It is the first thing that a
 * worker does of its own. */
#include <prefork/prefork.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int births = -1;

static int64_t
nanoseconds(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int
say_when(struct prefork_worker *w, void *data)
{
    int64_t birth[] = {nanoseconds(CLOCK_MONOTONIC), nanoseconds(CLOCK_PROCESS_CPUTIME_ID)};

    (void)w;
    (void)data;
    return write(births, birth, sizeof birth) == (ssize_t)sizeof birth ? 0 : -1;
}

static void
answer(struct prefork_conn *c, void *data)
{
    char line[1024];

    (void)data;
    if (prefork_gets(c, line, sizeof line) > 0)
        (void)prefork_write(c, "hello\n", 6); /* a client that is gone is counted there */
}

int
main(int argc, char **argv)
{
    const char *path = getenv("BENCH_BIRTHS");

    births = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (births < 0)
        return 64;
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "births",
                                              .process_request = answer,
                                              .child_init_hook = say_when});
}
