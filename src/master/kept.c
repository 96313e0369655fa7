/* After the death of a master: descriptors by name, from the keeper or the service manager.
 *
 * Of all that is handed in a state makes a master that can be taken over. Names that it
 * does not have were stored after it, or before: they are closed, and whoever has the other
 * end finds that out. Without a state the last stop was an orderly one, and only the
 * listeners have been left, as whose queues go on.
 *
 * Whose they are is told by their names alone. Descriptors with other names are for the
 * settings (net/inherit.h). */
#include "master/kept.h"

#include "base/attr.h"
#include "base/text.h"
#include "link/stored.h"
#include "net/inherit.h"
#include "os/fd.h"
#include "os/memory.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    char name[PF_STORED_NAME_BYTES];
    int fd;
    bool used;
};

struct table {
    struct kept *items;
    unsigned count;
};

static int
store(void *context, const char *name, int fd, struct pf_error *error)
{
    struct table *t = context;
    struct kept *items = realloc(t->items, (t->count + 1) * sizeof *items);

    if (!items) {
        pf_fd_close(&fd);
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, ENOMEM, "out of memory");
    }
    t->items = items;
    items[t->count] = (struct kept){.fd = fd};
    (void)snprintf(items[t->count].name, sizeof items->name, "%s", name);
    t->count++;
    return 0;
}

static int
find(void *context, const char *name)
{
    struct table *t = context;

    for (unsigned i = 0; i < t->count; i++) {
        if (strcmp(t->items[i].name, name) == 0) {
            t->items[i].used = true;
            return t->items[i].fd;
        }
    }
    return -1;
}

/* Of several states the one that was stored last. */
static int
find_last_state(const struct table *t)
{
    uint64_t last = 0;
    int fd = -1;

    for (unsigned i = 0; i < t->count; i++) {
        uint64_t number = 0;
        if (pf_stored_number(t->items[i].name, "state", &number) && number >= last) {
            last = number;
            fd = t->items[i].fd;
        }
    }
    return fd;
}

/* Of a worker that was stored after the state was: the master died in between. */
static uint64_t
find_last_birth(const struct table *t)
{
    static const char *const kinds[] = {"w", "v", "d"};
    uint64_t last = 0;

    for (unsigned i = 0; i < t->count * PF_COUNT(kinds); i++) {
        uint64_t number = 0;
        const char *name = t->items[i / PF_COUNT(kinds)].name;
        if (pf_stored_number(name, kinds[i % PF_COUNT(kinds)], &number) && number > last)
            last = number;
    }
    return last;
}

static struct pf_state *
adopt_state(struct table *t, int fd, struct pf_error *error)
{
    struct pf_state *s = pf_memory_new_own(sizeof *s);

    if (!s || pf_state_open(s, fd, error) < 0) {
        pf_memory_free(s, sizeof *s);
        return NULL;
    }
    s->kind = PF_STATE_ADOPT;
    s->last_birth = find_last_birth(t);
    pf_stored_bring_back(s, find, t);
    return s;
}

/* An orderly stop leaves nothing that says more of them. */
static void
adopt_listeners(struct pf_listeners *listeners, struct table *t, struct pf_error *error)
{
    for (unsigned i = 0; i < t->count; i++) {
        uint64_t id = 0;
        if (!pf_stored_number(t->items[i].name, "l", &id) || id > UINT_MAX)
            continue;
        t->items[i].used =
            pf_inherit_lone(listeners, t->items[i].fd, (unsigned)id, error) == 0;
    }
}

static void
forget(struct table *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        if (!t->items[i].used)
            pf_fd_close(&t->items[i].fd);
    }
    free(t->items);
}

struct pf_state *
pf_kept_find(struct pf_listeners *listeners, struct pf_error *error)
{
    const char *names = getenv("LISTEN_FDNAMES");
    struct pf_state *state = NULL;
    struct table t = {0};
    int fd;

    if (!names || !strstr(names, "prefork."))
        return NULL;
    if (pf_inherit_listen_fds(listeners, store, &t, error) >= 0) {
        fd = find_last_state(&t);
        if (fd >= 0)
            state = adopt_state(&t, fd, error);
        else
            adopt_listeners(listeners, &t, error);
    }
    forget(&t);
    return state;
}
