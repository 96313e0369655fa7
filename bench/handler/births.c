/* A callback like that of answer.c, whose workers say when they were born: each writes the
 * microseconds of CLOCK_MONOTONIC, eight bytes, to the end of the file that BENCH_BIRTHS
 * names. It is the first thing that a worker does of its own. */
#include <prefork/prefork.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int births = -1;

static int
say_when(struct prefork_worker *w, void *data)
{
    struct timespec t;
    int64_t us;

    (void)w;
    (void)data;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    us = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
    return write(births, &us, sizeof us) == (ssize_t)sizeof us ? 0 : -1;
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
