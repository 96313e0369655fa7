/* jobs: workers without a socket.
 *
 * Each worker runs main_loop: it waits for a moment of work, does it, says what it is doing
 * in its title (see ps), and ends when it is asked to. Where a real worker takes a job from
 * a queue, this one computes.
 *
 *     build/examples/jobs --min_servers 2 --max_servers 4
 *     ps -eo pid,args | grep jobs: */
#include <prefork/prefork.h>

static unsigned long
work(unsigned long n)
{
    unsigned long sum = 0;

    for (unsigned long i = 1; i <= n; i++)
        sum += n % i == 0 ? i : 0;
    return sum;
}

static void
loop(struct prefork_worker *w, void *data)
{
    unsigned long job = 0;

    (void)data;
    while (prefork_wait(w, -1, 0.2) == 0) {
        job++;
        prefork_busy(w);
        prefork_set_label(w, "job %lu", job);
        prefork_log(PREFORK_LOG_DEBUG, "job %lu: %lu", job, work(job * 1000));
        prefork_set_label(w, NULL);
        prefork_idle(w);
    }
}

static int
greet(void *data)
{
    (void)data;
    prefork_log(PREFORK_LOG_NOTICE, "taking jobs");
    return 0;
}

int
main(int argc, char **argv)
{
    return prefork_main(
        argc, argv,
        &(struct prefork_app){.name = "jobs", .after_init = greet, .main_loop = loop});
}
