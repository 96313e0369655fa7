/* One outlet for all processes.
 *
 * Comparing marks before a line costs one load of shared memory; only when they differ the
 * process looks for the new descriptor, in whatever way its link says. This file knows
 * neither what is written nor how descriptors travel.
 *
 * With the log, these are the things with file-scope state that all rooms may use: there is
 * one standard error per process, too. */
#include "log/outlet.h"

#include "base/attr.h"
static struct {
    struct pf_sink sink;
    struct pf_outlet_link link;
} outlets[PF_OUTLET_COUNT] PF_PER_WORKER = {
    [PF_OUTLET_LOG] = {.sink = PF_SINK_STDERR},
    [PF_OUTLET_ACCESS_LOG] = {.sink = PF_SINK_NOWHERE},
};

struct pf_sink *
pf_outlet_sink(enum pf_outlet outlet)
{
    return &outlets[outlet].sink;
}

const char *
pf_outlet_file(enum pf_outlet outlet, const char **ret_key, int *ret_fd)
{
    const struct pf_sink *s = &outlets[outlet].sink;

    if (s->target.kind != PF_LOG_FILE)
        return NULL;
    *ret_key = s->target.key;
    *ret_fd = s->fd;
    return s->target.path;
}

int
pf_outlet_renew(enum pf_outlet outlet)
{
    return pf_sink_renew(&outlets[outlet].sink);
}

int
pf_outlet_repair(enum pf_outlet outlet, pf_time now)
{
    return pf_sink_repair(&outlets[outlet].sink, now);
}

void
pf_outlet_succeed(enum pf_outlet outlet, uint32_t mark)
{
    pf_sink_succeed(&outlets[outlet].sink, mark);
}

int
pf_outlet_fd(enum pf_outlet outlet)
{
    return outlets[outlet].sink.fd;
}

uint32_t
pf_outlet_mark(enum pf_outlet outlet)
{
    return outlets[outlet].sink.mark;
}

enum pf_log_kind
pf_outlet_kind(enum pf_outlet outlet)
{
    return outlets[outlet].sink.target.kind;
}

void
pf_outlet_follow(enum pf_outlet outlet, const struct pf_outlet_link *link)
{
    pf_sink_disown(&outlets[outlet].sink);
    outlets[outlet].link = *link;
}

void
pf_outlet_catch_up(enum pf_outlet outlet)
{
    const struct pf_outlet_link *l = &outlets[outlet].link;

    if (l->mark && atomic_load(l->mark) != outlets[outlet].sink.mark)
        l->fetch(l->context);
}

void
pf_outlet_take(enum pf_outlet outlet, int fd, uint32_t mark)
{
    if (fd >= 0)
        pf_sink_take(&outlets[outlet].sink, fd, mark);
}

bool
pf_outlet_tell_broken(enum pf_outlet outlet)
{
    const struct pf_outlet_link *l = &outlets[outlet].link;

    if (l->mark)
        l->broken(outlets[outlet].sink.mark, l->context);
    return l->mark != NULL;
}
