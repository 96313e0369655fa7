/* jobs: workers without a socket, for a directory full of jobs.
 *
 * Shows a main_loop that waits for work of its own, says what it is doing (state and label,
 * see ps and the scoreboard), and ends between two jobs when it is asked to: when the
 * server stops, when a reload replaces the workers, when the pool has more of them than it
 * needs. Workers and master may be killed at any moment, and still every job gets one
 * result; spool.c says why.
 *
 *     export JOBS_SPOOL=/tmp/spool
 *     build/examples/jobs --min_servers 3 --max_servers 8 --access_log_path /tmp/jobs.log \
 *         --scoreboard_path /tmp/jobs.scoreboard --auto_reload_check_every 2 &
 *     echo 'sum 28' >/tmp/spool/new/.a && mv /tmp/spool/new/.a /tmp/spool/new/a
 *     cat /tmp/spool/done/a
 *     prefork status --scoreboard /tmp/jobs.scoreboard
 *
 * A job is a file in new/, put there by a rename, whose name was not used before. It says
 * "sum N" (of the divisors of N), "sleep MS" or "crash" (the worker: which other jobs do
 * not notice, and after some attempts the job is in failed/). Its result is in done/.
 * Nothing of a job is ever run by a shell.
 *
 * A job that runs when the server stops has stop_timeout to finish, and at any time
 * request_timeout, if that is set. If it takes longer, its worker is ended, and that counts
 * as an attempt. */
#include "spool.h"
#include <prefork/prefork.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_BYTES = 256, RETRY_S = 1 };

/* One line for each job whose result this worker stored. */
static void
access_line(const struct spool_job *job, const char *result)
{
    (void)prefork_access_log("job %s, attempt %u, worker %d: %s", job->base, job->attempt,
                             (int)getpid(), result);
}

static unsigned long
sum_of_divisors(unsigned long n)
{
    unsigned long sum = 0;

    for (unsigned long i = 1; i <= n / i; i++) {
        if (n % i == 0)
            sum += i == n / i ? i : i + n / i;
    }
    return sum;
}

static void
work(const char *order, char *result)
{
    char word[8] = "";
    char digits[10] = "";
    char rest;
    int words = sscanf(order, " %7[a-z] %9[0-9] %c", word, digits, &rest);
    unsigned long n = strtoul(digits, NULL, 10);

    if (words == 2 && strcmp(word, "sum") == 0) {
        (void)snprintf(result, TEXT_BYTES, "%lu", sum_of_divisors(n));
    } else if (words == 2 && strcmp(word, "sleep") == 0) {
        (void)poll(NULL, 0, (int)n);
        (void)snprintf(result, TEXT_BYTES, "slept %lu ms", n);
    } else if (words == 1 && strcmp(word, "crash") == 0) {
        abort();
    } else {
        (void)snprintf(result, TEXT_BYTES, "not understood: sum N, sleep MS or crash");
    }
}

/* Whatever is wrong with the disk, the result stays here until it is stored, unless this
 * worker has to leave. */
static bool
store(struct prefork_worker *w, struct spool *s, const struct spool_job *job,
      const char *text)
{
    int r;

    while ((r = spool_store(s, job, text)) < 0) {
        prefork_set_label(w, "job %s has to wait", job->name);
        if (prefork_wait(w, -1, RETRY_S) < 0)
            return false;
    }
    access_line(job, r == 0 ? text : "was done already");
    return true;
}

static void
serve(struct prefork_worker *w, struct spool *s, struct spool_job *job)
{
    char order[TEXT_BYTES] = "";
    char result[TEXT_BYTES];

    (void)prefork_update_scoreboard(w, 'R');
    prefork_set_label(w, "job %s", job->name);
    (void)read(job->fd, order, sizeof order - 1); /* what is not there is not understood */
    (void)prefork_update_scoreboard(w, 'W');
    work(order, result);
    spool_leave(s, job, store(w, s, job, result));
    prefork_set_label(w, NULL);
    (void)prefork_update_scoreboard(w, '_');
}

static void
loop(struct prefork_worker *w, void *data)
{
    struct spool *s = data;
    struct spool_job job;

    do {
        spool_look(s);
        while (!prefork_stopping(w) && spool_next(s, &job) > 0)
            serve(w, s, &job);
    } while (prefork_wait(w, s->watch, spool_patience(s)) >= 0);
}

/* As the user that the workers run as, and where they see the directory. */
static int
open_spool(void *data)
{
    const char *path = getenv("JOBS_SPOOL");

    if (!path)
        prefork_log(PREFORK_LOG_ERROR,
                    "JOBS_SPOOL is not set; it names the spool directory");
    return path ? spool_open(data, path) : -1;
}

/* In the master, which must not block: these are a few calls for each claim, and none of
 * them waits until something is on disk. */
static void
recover(const struct prefork_child *child, void *data)
{
    (void)child;
    spool_recover(data);
}

int
main(int argc, char **argv)
{
    struct spool spool;

    return prefork_main(argc, argv,
                        &(struct prefork_app){
                            .name = "jobs",
                            .data = &spool,
                            .pre_loop_hook = open_spool,
                            .cleanup_dead_child_hook = recover,
                            .main_loop = loop,
                        });
}
