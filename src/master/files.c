/* The server's own files: the program, the shared object, the config file.
 *
 * What is known of them and when to look is core/reload.c; what the kernel says of them is
 * os/watch.c. Here the two meet: a look at all files when it is time to, and what follows
 * from it. A change is told to auto_reload_handler, or does what SIGHUP does.
 *
 * While the kernel tells of changes, its descriptor is in the wait, for one event: the
 * first one takes it out until everything is quiet again, so a file that is written for a
 * minute does not wake the master for each of its blocks. Where the kernel does not tell,
 * or not any more, there is a look at every interval.
 *
 * Not here: what becomes of the change. Whether the new program works is the concern of
 * whoever replaces the workers. */
#include "log/log.h"
#include "master/master.h"
#include "master/tags.h"

#include <errno.h>
#include <string.h>

static void
tell_deaf(const struct pf_reload *reload, int r)
{
    pf_log(PREFORK_LOG_NOTICE,
           "auto reload: the system does not tell of changes (%s); looking every %g s",
           r == -EXDEV ? "another root directory" : strerror(-r),
           (double)reload->every / (double)PF_SECOND);
}

/* All files or none: a look at one is a look at all. */
static int
listen_to(struct pf_watch *w, const struct pf_reload *reload)
{
    int r = pf_watch_listen(w);

    for (unsigned i = 0; i < reload->count && r == 0; i++)
        r = pf_watch_add(w, reload->files[i].path);
    if (r < 0)
        pf_watch_deafen(w);
    return r;
}

void
pf_master_watch_files(struct pf_watch *w, const struct pf_reload *reload)
{
    int r = listen_to(w, reload);

    if (r < 0)
        tell_deaf(reload, r);
}

static void
tell_missing(const struct pf_reload_file *f, int r)
{
    pf_log(PREFORK_LOG_WARNING, "auto reload: cannot look at %s: %s; waiting for it",
           f->path, r == -EINVAL ? "not a file" : strerror(-r));
}

/* A file that cannot be looked at from here, perhaps for want of privileges, is told at the
 * start and not an interval later. */
void
pf_master_open_files(struct pf_master *m)
{
    if (!m->setup.watch)
        return;
    m->reload = *m->setup.reload;
    pf_reload_start(&m->reload, m->setup.watch->fd >= 0, m->now);
    for (unsigned i = 0; i < m->reload.count; i++) {
        struct pf_reload_file *f = &m->reload.files[i];
        struct pf_identity identity;
        int r = pf_watch_look(m->setup.watch, f->path, &identity);
        f->told_missing = r < 0;
        if (r < 0)
            tell_missing(f, r);
    }
}

void
pf_master_hear_files(struct pf_master *m)
{
    pf_reload_heard(&m->reload, m->now);
}

/* Everything is quiet: sleep until something is heard. */
static void
listen_on(struct pf_master *m)
{
    int r;

    if (!m->reload.told)
        return;
    r = pf_wait_add_once(&m->wait, m->setup.watch->fd, pf_tag(PF_TAG_FILES, 0));
    if (r == 0)
        return;
    pf_watch_deafen(m->setup.watch);
    m->reload.told = false;
    m->reload.look_at = pf_time_after(m->now, m->reload.every);
    tell_deaf(&m->reload, r);
}

/* Watches are on files and directories that may not be the ones of the paths any more. A
 * master that was not told of changes until now may be from here on. */
static void
listen_anew(struct pf_master *m)
{
    struct pf_watch *w = m->setup.watch;
    int r;

    if (w->fd >= 0)
        pf_wait_remove(&m->wait, w->fd);
    r = listen_to(w, &m->reload);
    if (r < 0 && m->reload.told)
        tell_deaf(&m->reload, r);
    m->reload.told = r == 0;
}

static enum pf_reload_news
look_at(struct pf_master *m, struct pf_reload_file *f)
{
    const struct prefork_app *app = &m->setup.recipe->app;
    struct pf_identity identity;
    int r = pf_watch_look(m->setup.watch, f->path, &identity);
    enum pf_reload_news news = pf_reload_saw(f, &identity);

    if (news == PF_RELOAD_MISSING)
        tell_missing(f, r);
    if (news == PF_RELOAD_UNSETTLED)
        pf_log(PREFORK_LOG_DEBUG, "auto reload: %s is another; looking again", f->path);
    if (news != PF_RELOAD_CHANGED)
        return news;
    pf_log(PREFORK_LOG_NOTICE, "auto reload: %s changed", f->path);
    if (app->auto_reload_handler)
        app->auto_reload_handler(f->path, app->data);
    return news;
}

static void
look_at_all(struct pf_master *m)
{
    bool lost = pf_watch_hush(m->setup.watch);
    bool unsettled = false;
    bool changed = false;

    for (unsigned i = 0; i < m->reload.count; i++) {
        enum pf_reload_news news = look_at(m, &m->reload.files[i]);
        unsettled = unsettled || news == PF_RELOAD_UNSETTLED;
        changed = changed || news == PF_RELOAD_CHANGED;
    }
    if (changed || lost)
        listen_anew(m);
    if (pf_reload_looked(&m->reload, unsettled || changed || lost, m->now))
        listen_on(m);
    if (changed && !m->setup.recipe->app.auto_reload_handler) {
        (void)pf_master_ask_reload(m, "auto reload", NULL);
        m->deadline = m->now;
    }
}

void
pf_master_tend_files(struct pf_master *m)
{
    if (!m->setup.watch || m->pool.stop != PF_STOP_NONE)
        return;
    if (pf_reload_due(&m->reload, m->now))
        look_at_all(m);
    m->deadline = pf_time_earlier(m->deadline, m->reload.look_at);
}
