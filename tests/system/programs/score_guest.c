/* score_guest: does what a connection says to the scoreboard, a line at a time, and answers
 * "ok" to each.
 *
 *   label TEXT    prefork_set_label()
 *   state X       prefork_update_scoreboard()
 *   scribble      random bytes over every page that it shares with the master: its own
 *   own           a SIGBUS of its own making, in a file of its own
 *
 * SCORE_HANDLER=1: child_init_hook installs a handler of SIGBUS, which says so and ends. */
#include <prefork/prefork.h>

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

static void
handle(int signum)
{
    (void)signum;
    (void)!write(STDERR_FILENO, "handled by the program\n", 23);
    _exit(9);
}

static int
init(struct prefork_worker *w, void *data)
{
    (void)w;
    (void)data;
    if (getenv("SCORE_HANDLER"))
        (void)signal(SIGBUS, handle);
    return 0;
}

/* The first number of a record is odd, as of one that is being written. */
static void
fill(uintptr_t from, uintptr_t to)
{
    for (uintptr_t at = from; at < to; at += 256)
        (void)!getrandom((void *)at, 256, 0);
    *(volatile unsigned char *)from |= 1;
}

/* Of the board it has one page, and of the scoreboard's file one, or the test fails. */
static void
scribble(struct prefork_conn *c)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned pages = 0;

    while (maps && fgets(line, sizeof line, maps)) {
        uintptr_t from;
        uintptr_t to;
        if (sscanf(line, "%lx-%lx rw-s", &from, &to) != 2)
            continue;
        if (!strstr(line, "prefork-board") && !strstr(line, "/scores"))
            continue;
        pages += (unsigned)((to - from) / 4096);
        fill(from, to);
    }
    if (maps)
        (void)fclose(maps);
    (void)prefork_printf(c, "%u ", pages);
}

static void
make_bus_error(void)
{
    FILE *file = tmpfile();
    volatile char *page =
        file ? mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fileno(file), 0) : MAP_FAILED;

    if (page != MAP_FAILED)
        page[0] = 'x'; /* the file is empty */
}

static void
serve(struct prefork_conn *c, void *data)
{
    char line[256];
    int r = 0;

    (void)data;
    while (prefork_gets(c, line, sizeof line) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "label ", 6) == 0)
            prefork_set_label(prefork_conn_worker(c), "%s", line + 6);
        else if (strncmp(line, "state ", 6) == 0)
            r = prefork_update_scoreboard(prefork_conn_worker(c), line[6]);
        else if (strcmp(line, "scribble") == 0)
            scribble(c);
        else if (strcmp(line, "own") == 0)
            make_bus_error();
        (void)(line[0] == 's' && line[1] == 't' ? prefork_printf(c, "state %d\n", r)
                                                : prefork_printf(c, "ok\n"));
    }
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "score_guest",
                                              .child_init_hook = init,
                                              .process_request = serve});
}
