/* A reload is a transaction.
 *
 *               asked                    says it can
 *     NONE ──────────────▶ CHECK ───────────────────────▶ execve(2) ═══╗
 *      ▲  ▲                  │ says no, dies, is too late              ║ the new program
 *      │  └──────────────────┘ (nothing was touched)                   ▼
 *      │                                                             TRIAL
 *      │   all is empty, or time is over                ready          │ │ a worker fails,
 *      ├──────────────────────────────── EMPTYING ◀────────────────────┘ │ all are too late
 *      │                                                                 ▼
 *      ╚══════ the old program, with what it was handed back ═══ execve(2) of the old one
 *
 * Double lines are a change of program in the same process: the state (link/state.h) goes
 * along, memory does not. Whoever is asked to reload while one is under way is told the
 * number of the next one, and everybody who asks meanwhile is told the same.
 *
 * Nothing is given up before its successor works: old workers serve during CHECK and TRIAL,
 * and are asked to leave only when as many new ones as reload_surge says are ready. Until
 * then the way back is open, and needs nothing but what this process holds: descriptors of
 * the old program and its files, and the state as it was handed over.
 *
 * A stop (SIGTERM, SIGQUIT) wins over everything: the reload is dropped, and workers of
 * both generations leave in order. A signal that comes while one program replaces the other
 * stays pending, and is the new one's first fact.
 *
 * Where there is no next program (docs/notes/0010) a reload is a restart of all workers:
 * REPLACING.
 *
 * What an operator sees of all this is in docs/UPGRADES.md. */
#include "master/upgrade.h"

#include "core/rollover.h"
#include "core/trial.h"
#include "log/log.h"
#include "master/control.h"
#include "master/crossing.h"
#include "master/master.h"
#include "master/tags.h"
#include "net/handed.h"
#include "os/lifeline.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    TEXT_BYTES = PF_CHECKING_TEXT_BYTES,
};

static enum pf_upgrade_wish
wanted_before(const struct pf_state *from)
{
    return from && from->wanted <= PF_UPGRADE_RELOAD ? (enum pf_upgrade_wish)from->wanted
                                                     : PF_UPGRADE_NOTHING;
}

int
pf_upgrade_open(struct pf_master *m)
{
    struct pf_upgrade *u = &m->upgrade;
    const struct pf_state *from = m->setup.from;

    *u = (struct pf_upgrade){.checking = PF_CHECKING_NONE,
                             .deadline = PF_NEVER,
                             .generation = from ? from->generation : 1,
                             .number = from ? from->reload : 0,
                             .wish = PF_UPGRADE_RELOAD,
                             .wanted = wanted_before(from),
                             .who = "who asked meanwhile"};
    return pf_succession_open(&u->next, m->capacity);
}

/* A check that is under way is not needed any more. */
void
pf_upgrade_close(struct pf_master *m)
{
    struct pf_upgrade *u = &m->upgrade;

    pf_checking_end(&u->checking);
    pf_succession_close(&u->next);
}

/* ---- the request ----------------------------------------------------------------------
 */

static int
ask(struct pf_master *m, enum pf_upgrade_wish wish, const char *who, uint64_t *ret_number)
{
    struct pf_upgrade *u = &m->upgrade;

    if (m->pool.stop != PF_STOP_NONE)
        return -ESHUTDOWN;
    if (u->wanted == PF_UPGRADE_NOTHING) {
        (void)snprintf(u->who, sizeof u->who, "%s", who);
        if (u->stage != PF_UPGRADE_NONE)
            pf_log(PREFORK_LOG_NOTICE, "%s: waiting for the end of the one under way", who);
    }
    if (wish > u->wanted)
        u->wanted = wish;
    if (ret_number)
        *ret_number = u->number + 1;
    return 0;
}

int
pf_master_ask_reload(struct pf_master *m, const char *who, uint64_t *ret_number)
{
    return ask(m, PF_UPGRADE_RELOAD, who, ret_number);
}

int
pf_master_ask_restart(struct pf_master *m, const char *who, uint64_t *ret_number)
{
    return ask(m, PF_UPGRADE_RESTART, who, ret_number);
}

static const char *
name_of(enum pf_upgrade_wish wish)
{
    return wish == PF_UPGRADE_RESTART ? "restart" : "reload";
}

/* ---- its end --------------------------------------------------------------------------
 */

static void
rest(struct pf_master *m)
{
    m->upgrade.stage = PF_UPGRADE_NONE;
    m->upgrade.deadline = PF_NEVER;
    m->deadline = m->now; /* the pool may be another, and the next one may wait */
}

static void
succeed(struct pf_master *m, const char *text)
{
    pf_log(PREFORK_LOG_NOTICE, "%s %llu: %s", name_of(m->upgrade.wish),
           (unsigned long long)m->upgrade.number, text);
    pf_control_tell(m, m->upgrade.number, true, text);
    rest(m);
}

static void
fail(struct pf_master *m, const char *reason)
{
    pf_log(PREFORK_LOG_ERROR, "%s %llu failed: %s; what ran before goes on",
           name_of(m->upgrade.wish), (unsigned long long)m->upgrade.number, reason);
    pf_control_tell(m, m->upgrade.number, false, reason);
    rest(m);
}

/* There is no way back any more, or nothing to go back to. */
static void
give_up_return(struct pf_master *m)
{
    if (m->setup.on_commit)
        m->setup.on_commit(m->setup.context);
    m->setup.from = NULL;
}

/* ---- from one program to another ------------------------------------------------------
 */

/* Returns if that is refused, or the server is to end. */
static void
become_next(struct pf_master *m)
{
    const char *path = m->setup.image->path;
    char reason[TEXT_BYTES];
    int r;

    pf_log(PREFORK_LOG_NOTICE, "reload %llu: starting %s in this process",
           (unsigned long long)m->upgrade.number, path);
    r = pf_crossing_forward(m);
    if (r == -ECANCELED)
        return;
    (void)snprintf(reason, sizeof reason, "cannot execute %s: %s", path, strerror(-r));
    fail(m, reason);
}

/* Back is not possible. The old program's workers serve on where they did; whoever has to
 * be born is of the new one. */
static void
stay(struct pf_master *m, const char *reason, int r)
{
    struct pf_upgrade *u = &m->upgrade;
    char text[2 * TEXT_BYTES];

    (void)snprintf(text, sizeof text,
                   "%s; and the program that ran before cannot be executed again: %s",
                   reason, strerror(-r));
    pf_log(PREFORK_LOG_ERROR,
           "reload %llu failed: %s; its workers serve on, with a master of the new one",
           (unsigned long long)u->number, text);
    pf_control_tell(m, u->number, false, text);
    rest(m);
}

static void
go_back(struct pf_master *m, const char *reason)
{
    int r;

    pf_log(PREFORK_LOG_ERROR, "reload %llu failed: %s; going back",
           (unsigned long long)m->upgrade.number, reason);
    r = pf_crossing_back(m, reason);
    if (r != -ECANCELED)
        stay(m, reason, r);
}

/* ---- CHECK ----------------------------------------------------------------------------
 */

static int
start_check(struct pf_master *m)
{
    struct pf_upgrade *u = &m->upgrade;

    pf_master_fill_state(m, u->next.state);
    return pf_checking_start(&u->checking, &u->next, m->setup.image);
}

void
pf_master_checked(struct pf_master *m)
{
    struct pf_checking *c = &m->upgrade.checking;
    char reason[TEXT_BYTES];
    int status = 0;
    bool faulty;

    if (c->child.pid == 0)
        return;
    if (pf_process_reap(&c->child, &status) < 0)
        return;
    faulty = pf_checking_fault(c, status, m->policy.reload_timeout, reason);
    if (m->pool.stop != PF_STOP_NONE)
        return;
    if (faulty)
        fail(m, reason);
    else
        become_next(m);
}

static void
begin_check(struct pf_master *m)
{
    struct pf_upgrade *u = &m->upgrade;
    char reason[TEXT_BYTES];
    int r;

    pf_log(PREFORK_LOG_NOTICE, "reload %llu (%s): checking %s",
           (unsigned long long)u->number, u->who, m->setup.image->path);
    r = start_check(m);
    if (r < 0) {
        (void)snprintf(reason, sizeof reason, "cannot check the new program: %s",
                       strerror(-r));
        fail(m, reason);
        return;
    }
    u->stage = PF_UPGRADE_CHECK;
    u->deadline = pf_time_after(m->now, m->policy.reload_timeout);
}

static void
tend_check(struct pf_master *m)
{
    struct pf_upgrade *u = &m->upgrade;

    if (m->now < u->deadline)
        return;
    u->deadline = PF_NEVER;
    pf_checking_expire(&u->checking); /* its end is what comes next */
}

/* ---- TRIAL and what follows ------------------------------------------------------------
 */

static void
finish(struct pf_master *m)
{
    char text[TEXT_BYTES];

    pf_trial_commit(&m->pool);
    m->upgrade.generation++;
    give_up_return(m);
    (void)snprintf(text, sizeof text, "generation %llu serves, the one before is leaving",
                   (unsigned long long)m->upgrade.generation);
    succeed(m, text);
}

static void
note(void *context, const char *text)
{
    (void)context;
    pf_log(PREFORK_LOG_NOTICE, "%s", text);
}

static void
commit(struct pf_master *m)
{
    pf_listeners_commit(m->setup.listeners, m->now, note, NULL);
    m->upgrade.stage = PF_UPGRADE_EMPTYING;
    m->upgrade.deadline = pf_time_after(m->now, PF_HANDED_EMPTYING);
    m->deadline = m->now;
}

static void
tend_trial(struct pf_master *m)
{
    char reason[TEXT_BYTES];

    switch (pf_trial_judge(&m->pool, &m->policy, m->now)) {
    case PF_TRIAL_UNDECIDED: break;
    case PF_TRIAL_READY: commit(m); break;
    case PF_TRIAL_FAILED:
        if (m->pool.trial.reason == PF_REASON_SLOW_START)
            (void)snprintf(reason, sizeof reason,
                           "the new workers were not ready within %.3g seconds "
                           "(reload_timeout)",
                           (double)m->policy.reload_timeout / (double)PF_SECOND);
        else
            (void)snprintf(reason, sizeof reason, "a new worker did not become ready: %s",
                           pf_reason_text(m->pool.trial.reason));
        go_back(m, reason);
        break;
    }
}

/* Old workers accept from sockets that are given up as long as somebody waits there, and
 * are not asked to leave before. */
static void
tend_emptying(struct pf_master *m)
{
    if (pf_listeners_retire(m->setup.listeners, m->now, false) == 0 ||
        m->now >= m->upgrade.deadline)
        finish(m);
    else
        m->deadline = pf_time_earlier(m->deadline, m->now + PF_PLAN_LOOK);
}

/* What was not empty in time, until the last old worker has gone. Before the end of
 * EMPTYING none of them was asked to. */
static void
tend_leftovers(struct pf_master *m)
{
    const enum pf_upgrade_stage stage = m->upgrade.stage;
    bool alone = !pf_rollover_is_on(&m->pool);

    if (m->setup.listeners->handed_count == 0 || stage == PF_UPGRADE_TRIAL ||
        stage == PF_UPGRADE_EMPTYING)
        return;
    if (pf_listeners_retire(m->setup.listeners, m->now, alone) > 0)
        m->deadline = pf_time_earlier(m->deadline, m->now + PF_PLAN_LOOK);
}

void
pf_upgrade_begin(struct pf_master *m)
{
    struct pf_upgrade *u = &m->upgrade;
    const struct pf_state *from = m->setup.from;

    pf_lifeline_close(); /* workers are next, and what becomes of them is seen */
    if (!from) {
        /* What was left by another. */
        pf_listeners_commit(m->setup.listeners, m->now, note, NULL);
        return;
    }
    if (from->kind == PF_STATE_TRIAL) {
        pf_trial_begin(&m->pool, m->policy.reload_surge,
                       pf_time_after(m->now, m->policy.reload_timeout));
        m->pool.trial.max_before = from->max_servers;
        u->stage = PF_UPGRADE_TRIAL;
        return;
    }
    pf_listeners_commit(m->setup.listeners, m->now, note, NULL);
    if (from->kind == PF_STATE_ROLLBACK)
        fail(m, from->reason);
    give_up_return(m);
}

/* ---- workers alone --------------------------------------------------------------------
 */

static void
begin_replacing(struct pf_master *m)
{
    struct pf_upgrade *u = &m->upgrade;

    if (u->wish == PF_UPGRADE_RESTART)
        pf_log(PREFORK_LOG_NOTICE, "restart %llu (%s): replacing all workers",
               (unsigned long long)u->number, u->who);
    else
        pf_log(PREFORK_LOG_NOTICE, "reload %llu (%s): replacing all workers, because %s",
               (unsigned long long)u->number, u->who, m->setup.no_image);
    pf_master_begin_rollover(m);
    u->stage = PF_UPGRADE_REPLACING;
    m->deadline = m->now;
}

/* The next one does not wait for old workers that were asked and take their time: the end
 * of both is told then. */
static void
tend_replacing(struct pf_master *m)
{
    char text[TEXT_BYTES];

    switch (pf_master_rollover(m, text, sizeof text)) {
    case PF_ROLLOVER_UNDER_WAY:
        if (m->upgrade.wanted != PF_UPGRADE_NOTHING && pf_rollover_pending(&m->pool) == 0)
            rest(m);
        break;
    case PF_ROLLOVER_DONE: succeed(m, text); break;
    case PF_ROLLOVER_FAILED: fail(m, text); break;
    }
}

/* ---- in each turn ----------------------------------------------------------------------
 */

/* One of an earlier generation may be busy for long, and is no reason to keep a new one out
 * for which there is room. */
static bool
has_room(const struct pf_master *m)
{
    return pf_pool_alive(&m->pool) <= m->policy.max_servers + m->policy.reload_surge;
}

/* Not before the server is ready for the first time, and not while workers of two
 * generations change places, unless births fail: then this is what may help. */
static bool
may_begin(const struct pf_master *m)
{
    if (m->upgrade.wanted == PF_UPGRADE_NOTHING)
        return false;
    if (pf_backoff_cautious(&m->pool.start))
        return true;
    return m->announced && (pf_rollover_pending(&m->pool) == 0 || has_room(m));
}

static void
begin(struct pf_master *m)
{
    m->upgrade.wish = m->upgrade.wanted;
    m->upgrade.wanted = PF_UPGRADE_NOTHING;
    m->upgrade.number++;
    m->herald.reloading = true;
    if (m->upgrade.wish == PF_UPGRADE_RELOAD && !m->setup.no_image)
        begin_check(m);
    else
        begin_replacing(m);
}

/* The end of the server is the end of it. Who waits for it hears of that (control.c). */
static void
drop(struct pf_master *m)
{
    struct pf_upgrade *u = &m->upgrade;

    if (u->checking.child.pid > 0 && u->stage == PF_UPGRADE_CHECK)
        pf_process_signal(&u->checking.child, SIGKILL);
    pf_trial_cancel(&m->pool);
    u->wanted = PF_UPGRADE_NOTHING;
    u->stage = PF_UPGRADE_NONE;
    u->deadline = PF_NEVER;
}

void
pf_master_tend_upgrade(struct pf_master *m)
{
    struct pf_upgrade *u = &m->upgrade;

    if (m->pool.stop != PF_STOP_NONE) {
        drop(m);
        return;
    }
    switch (u->stage) {
    case PF_UPGRADE_NONE:
        if (may_begin(m))
            begin(m);
        break;
    case PF_UPGRADE_CHECK: tend_check(m); break;
    case PF_UPGRADE_TRIAL: tend_trial(m); break;
    case PF_UPGRADE_EMPTYING: tend_emptying(m); break;
    case PF_UPGRADE_REPLACING: tend_replacing(m); break;
    }
    tend_leftovers(m);
    m->deadline = pf_time_earlier(m->deadline, u->deadline);
}
