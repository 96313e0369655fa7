/* What was done is told: to the log, and to the program's hook.
 *
 * One line per kind and reason and turn, not per worker: a burst of two hundred births is
 * one line. Ends are told one by one, since each may have its own cause; those that are
 * somebody's fault loudly, the rest quietly. */
#include "core/reason.h"
#include "log/log.h"
#include "master/master.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static const char *
verb(enum pf_action_kind kind)
{
    switch (kind) {
    case PF_ACTION_ASK: return "asked to leave";
    case PF_ACTION_TERM: return "sent SIGTERM to";
    case PF_ACTION_KILL: return "sent SIGKILL to";
    case PF_ACTION_BIRTH:
    case PF_ACTION_DEQUEUE: return "started";
    case PF_ACTION_BURY:
    case PF_ACTION_CLOSE_DOORS: break;
    }
    return NULL;
}

/* A signal means that somebody was late, and an operator wants to know; unless a client
 * went away, as clients do. */
static enum prefork_log_level
level_of(const struct pf_action *a)
{
    bool signalled = a->kind == PF_ACTION_TERM || a->kind == PF_ACTION_KILL;

    return signalled && a->reason != PF_REASON_CLIENT_GONE ? PREFORK_LOG_WARNING
                                                           : PREFORK_LOG_INFO;
}

static bool
same(const struct pf_action *a, const struct pf_action *b)
{
    return a->done && b->done && a->kind == b->kind && a->reason == b->reason;
}

/* The first action of its kind and reason speaks for all of them. */
static void
tell_action(const struct pf_plan *plan, unsigned index)
{
    const struct pf_action *a = &plan->actions[index];
    unsigned count = 0;

    if (!a->done || !verb(a->kind))
        return;
    for (unsigned i = 0; i < plan->count; i++) {
        if (i < index && same(&plan->actions[i], a))
            return;
        count += same(&plan->actions[i], a);
    }
    pf_log(level_of(a), "%s %u %s%s: %s", verb(a->kind), count,
           a->kind == PF_ACTION_DEQUEUE ? "dequeue process" : "worker",
           count == 1 ? "" : "s", pf_reason_text(a->reason));
}

static const char *
noun(const struct pf_slot *s)
{
    return s->kind == PF_KIND_DEQUEUE ? "dequeue process" : "worker";
}

static void
tell_end(const struct pf_slot *s, bool adopted, enum prefork_log_level level)
{
    double age = (double)(s->ended - s->born) / (double)PF_SECOND;
    unsigned long long requests = (unsigned long long)s->told.requests;

    if (adopted)
        pf_log(level,
               "%s %d ended (status not known: it was born by another master) after %.3f s "
               "and %llu requests",
               noun(s), (int)s->pid, age, requests);
    else if (WIFSIGNALED(s->wait_status))
        pf_log(level, "%s %d killed by signal %d (%s) after %.3f s and %llu requests%s",
               noun(s), (int)s->pid, WTERMSIG(s->wait_status),
               strsignal(WTERMSIG(s->wait_status)), age, requests,
               WCOREDUMP(s->wait_status) ? ", core dumped" : "");
    else
        pf_log(level, "%s %d ended with status %d after %.3f s and %llu requests", noun(s),
               (int)s->pid, WEXITSTATUS(s->wait_status), age, requests);
}

/* Ends that we asked for or brought about were said already; status 0 is nobody's news. */
static enum prefork_log_level
level_of_end(const struct pf_slot *s)
{
    bool expected = s->exempt || s->step != PF_STEP_NONE || s->reason == PF_REASON_LEFT;

    return expected && !s->failed ? PREFORK_LOG_DEBUG : PREFORK_LOG_WARNING;
}

void
pf_master_tell_obituary(struct pf_master *m, unsigned slot)
{
    const struct pf_slot *s = &m->pool.slots[slot];

    tell_end(s, m->children[slot].process.adopted, level_of_end(s));
}

/* Once per step of the streak, not once per worker of a batch. */
static void
tell_streak(struct pf_master *m)
{
    const struct pf_backoff *start = &m->pool.start;
    bool news = start->streak > m->told_streak;

    m->told_streak = start->streak;
    if (news && pf_backoff_cautious(start) && m->pool.stop == PF_STOP_NONE)
        pf_log(PREFORK_LOG_WARNING, "%u bad starts in a row; next try in %.1f s",
               start->streak,
               (double)(start->next_at > m->now ? start->next_at - m->now : 0) /
                   (double)PF_SECOND);
}

/* What nothing can be done about, but by whoever reads it. */
static void
tell_news(const struct pf_master *m, const struct pf_plan *plan)
{
    if (plan->news == PF_REASON_FULL && m->pool.no_queue)
        pf_log(PREFORK_LOG_WARNING, "all %u workers are busy: %s", plan->busy,
               pf_reason_text(plan->news));
    else if (plan->news == PF_REASON_FULL)
        pf_log(PREFORK_LOG_WARNING,
               "all %u workers are busy and %u connection%s wait%s: %s", plan->busy,
               plan->queued, plan->queued == 1 ? "" : "s", plan->queued == 1 ? "s" : "",
               pf_reason_text(plan->news));
    else if (plan->news == PF_REASON_ROOM)
        pf_log(PREFORK_LOG_NOTICE, "workers are idle again: %s",
               pf_reason_text(plan->news));
}

void
pf_master_tell(struct pf_master *m, const struct pf_plan *plan)
{
    const struct prefork_app *app = &m->setup.recipe->app;

    for (unsigned i = 0; i < plan->count; i++)
        tell_action(plan, i);
    tell_news(m, plan);
    tell_streak(m);
    if (app->idle_loop_hook)
        app->idle_loop_hook(app->data);
}

void
pf_master_tell_failure(struct pf_master *m, unsigned slot, const char *program, int errnum)
{
    const struct pf_slot *s = &m->pool.slots[slot];
    bool known = m->pool.start.streak > 0; /* the first of a streak was told */
    enum prefork_log_level level = known ? PREFORK_LOG_DEBUG : PREFORK_LOG_ERROR;

    if (program)
        pf_log(level, "cannot run %s: %s", program, strerror(errnum));
    else
        pf_log(level, "%s %d could not start: child_init_hook returned %d", noun(s),
               (int)s->pid, errnum);
}
