/* A reload where one process is master and worker.
 *
 *     NONE ── asked ──▶ CHECK ── says it can, ends ──▶ DUE ── the work has ended ──▶ exec
 *      ▲                  │ says no, dies, is too late                                │
 *      └──────────────────┴─────────────────────────────────────────────── refused ───┘
 *
 * It is the transaction of upgrade.c without what needs a second process: nobody serves
 * beside the trial, so the next program is tried by its start. What fails there before it
 * waits for connections leads back (startup.c).
 *
 * Nobody sleeps for the check: the process serves, in code that is not ours and may block.
 * So it is looked at where the work looks for a request to leave, which a signal makes it
 * do: the pipe of the check raises one when something was written or it was closed
 * (F_SETSIG), and a timer does when its time is over. That is SIGUSR2, which has no other
 * meaning here, so nothing is lost if one of an operator's becomes one with ours. SIGHUP
 * may not be used: an operator's would become one with ours and be lost.
 *
 * The pipe tells a moment before the child has ended, and the child is not waited for: the
 * timer is set to look again. */
#include "master/renewal.h"

#include "log/log.h"
#include "master/upgrade.h"
#include "os/clock.h"
#include "os/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define AGAIN (10 * PF_MILLISECOND) /* until its end */

int
pf_renewal_open(struct pf_renewal *r, const struct pf_renewal_setup *setup)
{
    int e;

    *r = (struct pf_renewal){.setup = *setup, .checking = PF_CHECKING_NONE};
    e = pf_succession_open(&r->next, 1);
    return e < 0 ? e : pf_alarm_open(&r->alarm, SIGUSR2);
}

void
pf_renewal_close(struct pf_renewal *r)
{
    pf_alarm_close(&r->alarm);
    pf_checking_end(&r->checking);
    pf_succession_close(&r->next);
}

void
pf_renewal_ask(struct pf_renewal *r)
{
    if (r->stage != PF_RENEWAL_NONE)
        pf_log(PREFORK_LOG_NOTICE, "SIGHUP: waiting for the end of the one under way");
    r->wanted = true;
}

static unsigned long long
number(const struct pf_renewal *r)
{
    return (unsigned long long)r->setup.has.reload;
}

static void
fail(struct pf_renewal *r, const char *reason)
{
    pf_log(PREFORK_LOG_ERROR, "reload %llu failed: %s; what ran before goes on", number(r),
           reason);
    r->stage = PF_RENEWAL_NONE;
}

static void
fill(struct pf_renewal *r)
{
    pf_succession_describe(r->next.state, &r->setup.has);
}

/* What was said before it could be signalled is found by a first look. */
static void
watch(struct pf_renewal *r)
{
    int fd = r->checking.verdict;
    pf_time now = pf_clock_now();

    (void)fcntl(fd, F_SETOWN, getpid()); /* none of these can fail for a pipe */
    (void)fcntl(fd, F_SETSIG, SIGUSR2);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC);
    r->deadline = pf_time_after(now, r->setup.timeout);
    pf_alarm_set(&r->alarm, now + AGAIN);
}

static void
begin(struct pf_renewal *r)
{
    char reason[PF_CHECKING_TEXT_BYTES];
    int e;

    r->wanted = false;
    r->setup.has.reload++;
    if (!r->setup.image) {
        (void)snprintf(
            reason, sizeof reason,
            "there are no workers to be replaced, and no more can be, because %s",
            r->setup.no_image);
        fail(r, reason);
        return;
    }
    pf_log(PREFORK_LOG_NOTICE, "reload %llu (SIGHUP): checking %s", number(r),
           r->setup.image->path);
    fill(r);
    e = pf_checking_start(&r->checking, &r->next, r->setup.image);
    if (e < 0) {
        (void)snprintf(reason, sizeof reason, "cannot check the new program: %s",
                       strerror(-e));
        fail(r, reason);
        return;
    }
    r->stage = PF_RENEWAL_CHECK;
    watch(r);
}

static void
end_check(struct pf_renewal *r, int wait_status)
{
    char reason[PF_CHECKING_TEXT_BYTES];

    pf_alarm_set(&r->alarm, PF_NEVER);
    if (pf_checking_fault(&r->checking, wait_status, r->setup.timeout, reason))
        fail(r, reason);
    else
        r->stage = PF_RENEWAL_DUE;
}

static void
look_at_check(struct pf_renewal *r)
{
    bool heard = pf_checking_hear(&r->checking);
    pf_time now = pf_clock_now();
    int status = 0;

    if (pf_process_reap(&r->checking.child, &status) == 0) {
        end_check(r, status);
        return;
    }
    if (now >= r->deadline && !r->checking.too_late) {
        pf_checking_expire(&r->checking);
        heard = true;
    }
    pf_alarm_set(&r->alarm, heard ? now + AGAIN : r->deadline);
}

enum pf_renewal_stage
pf_renewal_look(struct pf_renewal *r)
{
    if (r->stage == PF_RENEWAL_CHECK)
        look_at_check(r);
    while (r->stage == PF_RENEWAL_NONE && r->wanted)
        begin(r);
    return r->stage;
}

void
pf_renewal_become_next(struct pf_renewal *r)
{
    char reason[PF_CHECKING_TEXT_BYTES];
    int e;

    pf_log(PREFORK_LOG_NOTICE, "reload %llu: starting %s in this process", number(r),
           r->setup.image->path);
    fill(r);
    r->next.state->kind = PF_STATE_TRIAL;
    r->next.state->wanted = r->wanted ? PF_UPGRADE_RELOAD : PF_UPGRADE_NOTHING;
    e = pf_succession_exec(&r->next, r->setup.image, -1);
    (void)snprintf(reason, sizeof reason, "cannot execute %s: %s", r->setup.image->path,
                   strerror(-e));
    fail(r, reason);
}

void
pf_renewal_tell(struct pf_renewal *r, const char *reason)
{
    if (reason) {
        fail(r, reason);
        return;
    }
    r->setup.has.generation++;
    pf_log(PREFORK_LOG_NOTICE, "reload %llu: generation %llu serves", number(r),
           (unsigned long long)r->setup.has.generation);
}
