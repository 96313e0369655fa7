/* An open loop: requests that come when they come, whether the server keeps up or not.
 *
 *   pace [-s SEED] [-w SECONDS] ADDRESS PORT RATE SECONDS [REQUEST]
 *
 *   -s SEED      of the arrivals (1)
 *   -w SECONDS   how long a request waits for its answer (10)
 *
 * REQUEST is sent instead of a line; the answer to one of HTTP has the status 200. ADDRESS
 * is one of loopback, or the path of a unix socket, which begins with a slash and has any
 * PORT.
 *
 * RATE arrivals a second, each on a connection of its own. They are a Poisson process: gaps
 * are exponential and know nothing of each other, as those of many clients who do not know
 * each other; the same seed gives the same arrivals, so servers can be compared under one
 * load. When each is due is fixed beforehand, and its latency counts from then on to the
 * end of the stream. So a server that stops for a while is charged with every request that
 * was due meanwhile (a client that waits for an answer before it asks again would ask less,
 * and not see it), and a client that comes late is not excused either. How late it was is
 * told: if "late_p99" is not far below "p99", or "rate" below "wanted", the latencies are
 * this program's.
 *
 * It is one process with epoll(7). A connection is made, asked and waited for without
 * blocking. Clients are on other machines in life; this one goes before the server on a
 * processor, if it may (root). Prints a line of JSON, all times in microseconds:
 *
 *   {"wanted": 1000, "rate": 1000.2, "late_p99": 60, "late_max": 310, "sent": 5001,
 *    "failures": {"receive timeout": 1}, "connections": 5001, "answered": 5000,
 *    "failed": 1, "p50": 90, "p90": 110, "p99": 180, "p99.9": 420, "max": 700} */
#include "common.h"
#include "tally.h"

#include <err.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    BATCH = 16,            /* arrivals, or events, before the others have their turn */
    SWEEP = 100000,        /* microseconds between looks for those who waited too long */
    DESCRIPTORS = 1 << 16, /* more are never used */
};

/* One request under way; its place is that of its descriptor. */
struct flight {
    long due;
    bool is_used;
    bool is_sent;
    size_t bytes; /* of the answer so far */
    char head[ANSWER_HEAD];
};

/* A run, from the first arrival to the last answer. */
struct pace {
    struct target server;
    struct question question;
    double gap;      /* microseconds between arrivals, in the mean */
    double due;      /* the next arrival */
    long end;        /* no arrivals from here on */
    long last;       /* when the last request was begun */
    long patience;   /* microseconds */
    long next_sweep; /* when to look for those who waited too long */
    long sent;
    unsigned underway;
    int most; /* the greatest descriptor ever used */
    int epoll;
    uint64_t random;
    struct tally tally;
    struct histogram lateness;
    struct flight flights[DESCRIPTORS];
};

/* ---- one request -------------------------------------------------------------------- */

static void
finish(struct pace *p, int fd, enum step step, int error)
{
    struct flight *f = &p->flights[fd];

    tally_add(&p->tally, step, error, (unsigned long)(microseconds() - f->due));
    f->is_used = false;
    p->underway--;
    (void)close(fd);
}

/* Without blocking: false if it has to be tried again when the socket can be written to. A
 * refusal that came after connect(2) shows here. */
static bool
send_request(struct pace *p, int fd)
{
    ssize_t n = send(fd, p->question.text, p->question.size, MSG_NOSIGNAL);

    if (n == (ssize_t)p->question.size)
        p->flights[fd].is_sent = true;
    else if (n >= 0 || (errno != EAGAIN && errno != ENOTCONN))
        finish(p, fd, n < 0 && errno == ECONNREFUSED ? CONNECT : SEND,
               n >= 0 ? EMSGSIZE : errno);
    else
        return false;
    return true;
}

/* A connection is there, or is refused. */
static void
take_connection(struct pace *p, int fd)
{
    int error = 0;
    socklen_t bytes = sizeof error;
    struct epoll_event answer = {.events = EPOLLIN, .data.fd = fd};

    (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
    if (error != 0)
        finish(p, fd, CONNECT, error);
    else if (send_request(p, fd) && p->flights[fd].is_used &&
             epoll_ctl(p->epoll, EPOLL_CTL_MOD, fd, &answer) < 0)
        err(1, "epoll_ctl");
}

static void
keep_head(struct flight *f, const char *data, size_t size)
{
    for (size_t i = 0; i < size && f->bytes + i < sizeof f->head; i++)
        f->head[f->bytes + i] = data[i];
    f->bytes += size;
}

/* The end of the stream came. */
static void
judge(struct pace *p, int fd)
{
    const struct flight *f = &p->flights[fd];
    size_t bytes = f->bytes < sizeof f->head ? f->bytes : sizeof f->head;

    if (is_answer(&p->question, f->head, bytes))
        finish(p, fd, STEPS, 0);
    else
        finish(p, fd, bytes == 0 ? NO_ANSWER : SHORT_ANSWER, 0);
}

static void
take_answer(struct pace *p, int fd)
{
    char buffer[4096];
    ssize_t n;

    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
        keep_head(&p->flights[fd], buffer, (size_t)n);
    if (n == 0)
        judge(p, fd);
    else if (errno != EAGAIN)
        finish(p, fd, RECEIVE, errno);
}

/* On loopback a connection is made when connect(2) returns, also where it says that it is
 * in progress: most requests go out at once. */
static void
begin(struct pace *p, long due)
{
    int fd = socket(p->server.address.any.sa_family,
                    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    p->sent++;
    if (fd < 0 || fd >= DESCRIPTORS) {
        tally_add(&p->tally, OPEN, fd < 0 ? errno : EMFILE, 0);
        return;
    }
    p->flights[fd] = (struct flight){.due = due, .is_used = true};
    p->most = fd > p->most ? fd : p->most;
    p->underway++;
    if (connect(fd, &p->server.address.any, p->server.bytes) < 0 && errno != EINPROGRESS) {
        finish(p, fd, CONNECT, errno);
        return;
    }
    if (!send_request(p, fd))
        event.events = EPOLLOUT;
    if (p->flights[fd].is_used && epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        err(1, "epoll_ctl");
}

/* ---- all of them -------------------------------------------------------------------- */

/* Above 0, at most 1: xorshift64*, the upper 53 bits. */
static double
draw(struct pace *p)
{
    p->random ^= p->random >> 12;
    p->random ^= p->random << 25;
    p->random ^= p->random >> 27;
    return (double)((p->random * 0x2545f4914f6cdd1dULL >> 11) + 1) / (double)(1ULL << 53);
}

static bool
is_open(const struct pace *p)
{
    return p->due < (double)p->end;
}

static void
begin_those_due(struct pace *p)
{
    for (int i = 0; i < BATCH && is_open(p); i++) {
        long due = (long)p->due;
        long now = microseconds();
        if (due > now)
            return;
        histogram_add(&p->lateness, (unsigned long)(now - due));
        begin(p, due);
        p->last = now;
        p->due -= p->gap * log(draw(p));
    }
}

static void
sweep(struct pace *p)
{
    long now = microseconds();

    if (now < p->next_sweep)
        return;
    p->next_sweep = now + SWEEP;
    for (int fd = 0; fd <= p->most; fd++) {
        const struct flight *f = &p->flights[fd];
        if (f->is_used && now - f->due > p->patience)
            finish(p, fd, f->is_sent ? RECEIVE : CONNECT, ETIMEDOUT);
    }
}

/* Until something comes, or is due. */
static void
hear(struct pace *p)
{
    struct epoll_event events[BATCH];
    long until = is_open(p) && (long)p->due < p->next_sweep ? (long)p->due : p->next_sweep;
    long rest = until - microseconds();
    struct timespec timeout = {0, 0};
    int n;

    if (rest > 0)
        timeout = (struct timespec){rest / 1000000, rest % 1000000 * 1000};
    n = epoll_pwait2(p->epoll, events, BATCH, &timeout, NULL);
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (p->flights[fd].is_sent)
            take_answer(p, fd);
        else
            take_connection(p, fd);
    }
}

static void
report(const struct pace *p, double seconds)
{
    (void)printf("{\"wanted\": %.0f, \"rate\": %.1f, \"late_p99\": %lu, \"late_max\": %lu, "
                 "\"sent\": %ld, ",
                 1e6 / p->gap, (double)p->sent / seconds,
                 histogram_quantile(&p->lateness, 990), atomic_load(&p->lateness.greatest),
                 p->sent);
    tally_print(&p->tally);
    (void)printf("}\n");
}

/* The rate that was reached is that of a run which took as long as it should, or longer if
 * the last arrivals were late. */
static void
run(struct pace *p, long duration)
{
    long start = microseconds();

    p->due = (double)start - p->gap * log(draw(p));
    p->end = start + duration;
    p->next_sweep = start + SWEEP;
    while (is_open(p) || p->underway > 0) {
        begin_those_due(p);
        hear(p);
        sweep(p);
    }
    report(p, (double)(p->last - start > duration ? p->last - start : duration) / 1e6);
}

static void
prepare(struct pace *p)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(1, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* what it has shows when it is used up */
    (void)setpriority(PRIO_PROCESS, 0, -20);
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0); /* arrivals are closer than its default */
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (p->epoll < 0)
        err(1, "epoll");
}

int
main(int argc, char **argv)
{
    static struct pace p = {.random = 1, .patience = 10000000};
    int option;

    while ((option = getopt(argc, argv, "+s:w:")) != -1) {
        switch (option) {
        case 's': p.random = strtoull(optarg, NULL, 10); break;
        case 'w': p.patience = atol(optarg) * 1000000L; break;
        default: return 64;
        }
    }
    argv += optind;
    argc -= optind;
    if (argc < 4 || argc > 5 || atof(argv[2]) <= 0 || atof(argv[3]) <= 0 || p.random == 0)
        errx(64, "usage: pace [-s SEED] [-w SECONDS] ADDRESS PORT RATE SECONDS [REQUEST]");
    aim(&p.server, argv[0], argv[1]);
    p.question = question_of(argv[4]);
    p.gap = 1e6 / atof(argv[2]);
    prepare(&p);
    run(&p, (long)(atof(argv[3]) * 1e6));
    return 0;
}
