/* score_loop: workers that do nothing but change their line on the scoreboard.
 *
 *     SCORE_LOOP=fast     as fast as they can
 *     SCORE_LOOP=calm     twenty changes in a second
 *     SCORE_LOOP=silent   none: they wait to be asked to leave
 *     SCORE_LOOP=X        once, to the letter X; then as silent
 *
 * Round k (from 1) makes four changes: letter R, which counts a request; a label of five
 * times k in hexadecimal; letter W; letter _. Before the first round the line was changed
 * three times in a page that nobody used before: by the master, at birth, and to the first
 * _. So the sequence number, the letter, the count and the label all follow from one
 * number, which is what score_reader.c and the tests compare. */
#include <prefork/prefork.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void
pause_if(bool calm)
{
    const struct timespec moment = {.tv_nsec = 50 * 1000 * 1000};

    if (calm)
        (void)nanosleep(&moment, NULL);
}

static void
change(struct prefork_worker *w, bool calm)
{
    for (unsigned long k = 1; !prefork_stopping(w); k++) {
        (void)prefork_update_scoreboard(w, 'R');
        pause_if(calm);
        prefork_set_label(w, "%016lx%016lx%016lx%016lx%016lx", k, k, k, k, k);
        pause_if(calm);
        (void)prefork_update_scoreboard(w, 'W');
        pause_if(calm);
        (void)prefork_update_scoreboard(w, '_');
        pause_if(calm);
    }
}

static void
loop(struct prefork_worker *w, void *data)
{
    const char *how = getenv("SCORE_LOOP");

    (void)data;
    if (!how || strcmp(how, "fast") == 0 || strcmp(how, "calm") == 0) {
        bool calm = how && how[0] == 'c';
        if (!calm)
            (void)!nice(19); /* whoever looks at them has work to do as well */
        change(w, calm);
        return;
    }
    if (strcmp(how, "silent") != 0)
        (void)prefork_update_scoreboard(w, how[0]);
    while (prefork_wait(w, -1, -1) == 0)
        continue;
}

int
main(int argc, char **argv)
{
    return prefork_main(argc, argv,
                        &(struct prefork_app){.name = "score_loop", .main_loop = loop});
}
