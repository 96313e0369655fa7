/* Judging files that somebody else writes.
 *
 * A file is compared with what it was when it was loaded, never with the first look: what
 * happened in between counts. It is handled when it is another one and has not moved for
 * a whole interval, that is, when two looks agree. A file that grows for a minute is looked
 * at for a minute, and handled once. What is missing is waited for: it is being replaced,
 * or somebody needs to know. What comes back as it was never changed.
 *
 * Where somebody tells of changes, the first word causes a look at once, to have something
 * to compare with, and another one an interval later. Until then nothing is listened to:
 * a directory in which much happens costs two looks per interval and no more. */
#include "core/reload.h"

#include <stddef.h>

void
pf_reload_start(struct pf_reload *r, bool told, pf_time now)
{
    r->told = told;
    r->heard = false;
    r->look_at = r->count > 0 ? pf_time_after(now, r->every) : PF_NEVER;
    for (unsigned i = 0; i < r->count; i++) {
        r->files[i].seen = r->files[i].handled;
        r->files[i].told_missing = false;
    }
}

bool
pf_reload_due(const struct pf_reload *r, pf_time now)
{
    return now >= r->look_at;
}

void
pf_reload_heard(struct pf_reload *r, pf_time now)
{
    r->heard = true;
    r->look_at = now;
}

static enum pf_reload_news
miss(struct pf_reload_file *f)
{
    bool known = f->told_missing;

    f->told_missing = true;
    return known ? PF_RELOAD_SAME : PF_RELOAD_MISSING;
}

enum pf_reload_news
pf_reload_saw(struct pf_reload_file *f, const struct pf_identity *now)
{
    bool moved = !pf_identity_equal(now, &f->seen);

    f->seen = *now;
    if (!now->there)
        return moved ? PF_RELOAD_UNSETTLED : miss(f);
    f->told_missing = false;
    if (pf_identity_equal(now, &f->handled))
        return PF_RELOAD_SAME;
    if (moved)
        return PF_RELOAD_UNSETTLED;
    f->handled = *now;
    return PF_RELOAD_CHANGED;
}

bool
pf_reload_looked(struct pf_reload *r, bool again, pf_time now)
{
    bool quiet = !again && !r->heard;

    r->heard = false;
    r->look_at = quiet && r->told ? PF_NEVER : pf_time_after(now, r->every);
    return quiet;
}
