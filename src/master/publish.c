/* What the master writes on the scoreboard: on the pages of the board, and in the file.
 *
 * A worker writes its own line while it lives. The master writes it before the fork, as
 * that of somebody who is about to be born, and after the burial, as that of nobody; so
 * there is one writer at a time, and what a worker left half written when it was killed is
 * whole again. For a program that accepts by itself, which knows nothing of all this, the
 * master writes all there is.
 *
 * Workers of a generation before may have the page of another file, if scoreboard_path or
 * the number of records was changed. Their lines are copied from the board, in turns in
 * which they have changed: they will not be there for long.
 *
 * The totals at the head of the file follow in turns in which they changed. Nobody wakes
 * the master for them.
 *
 * What happens to the file is told once and changes nothing else. When it was cut or
 * removed, it is left alone from then on: lines of some workers only would be worse than
 * none, and it could not be made again by who has dropped his privileges. When there is no
 * room for a worker's page, that worker is not in the file; the next one may be. */
#include "link/score.h"
#include "log/log.h"
#include "master/master.h"

#include <string.h>

static int64_t
epoch_time(const struct pf_master *m)
{
    return m->now + m->board.epoch;
}

/* True: there is a file, and it is what it was. */
static bool
has_file(struct pf_master *m)
{
    const struct pf_score_file *file = m->setup.score_file;
    enum pf_score_damage damage;

    if (!file || file->fd < 0 || m->score_damaged)
        return false;
    damage = pf_score_file_damage(file);
    m->score_damaged = damage != PF_SCORE_INTACT;
    if (m->score_damaged)
        pf_log(PREFORK_LOG_WARNING,
               "scoreboard_path %s: somebody %s the file; it is not written any more until "
               "the server is reloaded or started again",
               file->path, damage == PF_SCORE_CUT ? "cut" : "removed or replaced");
    return !m->score_damaged;
}

static void
tell_refused(struct pf_master *m, int r)
{
    if (m->score_refused)
        return;
    m->score_refused = true;
    pf_log(PREFORK_LOG_WARNING,
           "scoreboard_path %s: %s; workers are missing there until that is mended",
           m->setup.score_file->path, strerror(-r));
}

/* Slots that the file has no record for are those of an old pool that was larger. */
static bool
write_file(struct pf_master *m, unsigned slot, const struct pf_score_line *line)
{
    int r;

    if (!has_file(m) || slot >= m->setup.score_file->records)
        return false;
    r = pf_score_file_write(m->setup.score_file, slot, line);
    if (r < 0)
        tell_refused(m, r);
    return r == 0;
}

/* True: also in the file. */
static bool
write_line(struct pf_master *m, unsigned slot, const struct pf_score_line *line)
{
    struct pf_board_slot *s = pf_board_slot(&m->board, slot);

    if (s)
        pf_score_write(&s->score, line);
    return write_file(m, slot, line);
}

bool
pf_master_publish_birth(struct pf_master *m, unsigned slot)
{
    const struct pf_score_line line = {
        .state = PF_SCORE_STARTING,
        .listener = PF_SCORE_NO_LISTENER,
        .born = epoch_time(m),
        .updated = epoch_time(m),
    };

    return write_line(m, slot, &line);
}

void
pf_master_publish_program(struct pf_master *m, unsigned slot)
{
    const struct pf_score_line line = {
        .pid = (int32_t)m->pool.slots[slot].pid,
        .state = PF_SCORE_UNKNOWN,
        .listener = PF_SCORE_NO_LISTENER,
        .born = epoch_time(m),
        .updated = epoch_time(m),
    };

    (void)write_line(m, slot, &line);
}

void
pf_master_publish_end(struct pf_master *m, unsigned slot)
{
    (void)write_line(m, slot, &(const struct pf_score_line){0});
}

/* A line that is just being written is copied in a later turn. */
static void
copy_line(struct pf_master *m, unsigned slot)
{
    const struct pf_board_slot *s = pf_board_slot(&m->board, slot);
    struct pf_child *child = &m->children[slot];
    struct pf_score_line line;

    if (!s || pf_score_glance(&s->score, &line) != 0 || line.updated == child->copied)
        return;
    if (write_file(m, slot, &line)) /* or in a later turn; it was told that it cannot be */
        child->copied = line.updated;
}

void
pf_master_publish_strangers(struct pf_master *m)
{
    for (unsigned i = 0; m->setup.score_file && i < m->pool.used; i++) {
        if (pf_life_alive(m->pool.slots[i].life) &&
            m->children[i].score != m->setup.score_file->number)
            copy_line(m, i);
    }
}

void
pf_master_publish_totals(struct pf_master *m)
{
    struct pf_score_totals totals = {
        .updated = m->score_totals.updated,
        .births = m->pool.births,
        .requests = m->pool.requests_buried,
        .stopping = m->pool.stop != PF_STOP_NONE,
    };

    if (m->pool.used > m->score_used)
        m->score_used = m->pool.used;
    totals.used = m->score_used;

    if (!m->setup.score_file || memcmp(&totals, &m->score_totals, sizeof totals) == 0 ||
        !has_file(m))
        return;
    totals.updated = epoch_time(m);
    if (pf_score_file_write_totals(m->setup.score_file, &totals) == 0)
        m->score_totals = totals;
}
