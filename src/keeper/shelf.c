/* Descriptors by name.
 *
 * Every descriptor is moved up when it comes, beyond the numbers at which a child will hand
 * them on. So there they can be put in their order without one being in the way of another.
 *
 * Hanging up is what says that a thing is of no use any more: the worker behind a channel
 * is dead, a listener was shut down. What cannot hang up (files, memory) stays until it is
 * removed. An event may be about what lay in a place before, so it is looked at again. */
#include "keeper/shelf.h"

#include "base/text.h"
#include "os/fd.h"
#include "os/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    STATES = 2,
    SPARE = 1, /* one more is handed on, behind those of the shelf (keeper/next.c) */
};

int
pf_shelf_open(struct pf_shelf *s, unsigned capacity, struct pf_wait *wait, uint64_t tag)
{
    const unsigned places = capacity + STATES;

    *s = (struct pf_shelf){
        .items = pf_memory_new(places * sizeof *s->items),
        .places = places,
        .capacity = capacity,
        .lowest = PF_SHELF_FIRST + (int)places + SPARE,
        .wait = wait,
        .tag = tag,
    };
    if (!s->items)
        return -ENOMEM;
    for (unsigned i = 0; i < places; i++)
        s->items[i].fd = -1;
    return 0;
}

void
pf_shelf_close(struct pf_shelf *s)
{
    if (!s->items)
        return;
    pf_shelf_clear(s);
    pf_memory_free(s->items, s->places * sizeof *s->items);
    s->items = NULL;
}

static void
free_place(struct pf_shelf *s, struct pf_shelf_item *item)
{
    pf_wait_remove(s->wait, item->fd);
    pf_fd_close(&item->fd);
    s->count--;
    s->names_bytes -= strlen(item->name) + 1;
}

static struct pf_shelf_item *
find(const struct pf_shelf *s, const char *name)
{
    for (unsigned i = 0; i < s->places; i++) {
        if (s->items[i].fd >= 0 && strcmp(s->items[i].name, name) == 0)
            return &s->items[i];
    }
    return NULL;
}

static bool
has_room(const struct pf_shelf *s, const char *name)
{
    return pf_text_begins(name, PF_SHELF_STATE) ||
           (s->count < s->capacity &&
            s->names_bytes + strlen(name) + 1 <= PF_SHELF_NAMES_MAX);
}

static struct pf_shelf_item *
find_free(const struct pf_shelf *s, const char *name)
{
    if (!has_room(s, name))
        return NULL;
    for (unsigned i = 0; i < s->places; i++) {
        if (s->items[i].fd < 0)
            return &s->items[i];
    }
    return NULL;
}

/* What hangs up already will be dropped in the next moment. -EPERM: a file, which never
 * does. -EBADF: neither does an O_PATH descriptor, since it has just been copied. */
static int
keep(struct pf_shelf *s, struct pf_shelf_item *item, const char *name, int fd)
{
    int r;

    item->fd = fcntl(fd, F_DUPFD_CLOEXEC, s->lowest);
    if (item->fd < 0)
        return -errno;
    r = pf_wait_add_end(s->wait, item->fd, s->tag + (uint64_t)(item - s->items));
    if (r < 0 && r != -EPERM && r != -EBADF) {
        pf_fd_close(&item->fd);
        return r;
    }
    (void)snprintf(item->name, sizeof item->name, "%s", name);
    s->count++;
    s->names_bytes += strlen(name) + 1;
    return 0;
}

static int
check_name(const char *name)
{
    if (name[0] == '\0' || strchr(name, ':'))
        return -EINVAL;
    return strlen(name) < PF_SHELF_NAME_BYTES ? 0 : -ENAMETOOLONG;
}

int
pf_shelf_put(struct pf_shelf *s, const char *name, int fd)
{
    struct pf_shelf_item *item = find(s, name);
    int r = check_name(name);

    if (r == 0 && item)
        free_place(s, item);
    else if (r == 0)
        item = find_free(s, name);
    if (r == 0)
        r = item ? keep(s, item, name, fd) : -ENOSPC;
    pf_fd_close(&fd);
    return r;
}

int
pf_shelf_find(const struct pf_shelf *s, const char *name)
{
    const struct pf_shelf_item *item = find(s, name);

    return item ? item->fd : -1;
}

void
pf_shelf_remove(struct pf_shelf *s, const char *name)
{
    struct pf_shelf_item *item = find(s, name);

    if (item)
        free_place(s, item);
}

void
pf_shelf_look(struct pf_shelf *s, unsigned place)
{
    struct pf_shelf_item *item = &s->items[place];
    struct pollfd end = {.fd = item->fd};

    if (item->fd >= 0 && poll(&end, 1, 0) > 0)
        free_place(s, item);
}

void
pf_shelf_clear(struct pf_shelf *s)
{
    for (unsigned i = 0; i < s->places; i++) {
        if (s->items[i].fd >= 0)
            free_place(s, &s->items[i]);
    }
}

bool
pf_shelf_names(const struct pf_shelf *s, char *text, size_t bytes)
{
    size_t used = 0;

    if (bytes == 0)
        return false;
    text[0] = '\0';
    for (unsigned i = 0; i < s->places; i++) {
        const struct pf_shelf_item *item = &s->items[i];
        int n;
        if (item->fd < 0)
            continue;
        n = snprintf(text + used, bytes - used, "%s%s", used > 0 ? ":" : "", item->name);
        if ((size_t)n >= bytes - used)
            return false;
        used += (size_t)n;
    }
    return true;
}

int
pf_shelf_spread(const struct pf_shelf *s)
{
    int next = PF_SHELF_FIRST;

    for (unsigned i = 0; i < s->places; i++) {
        if (s->items[i].fd >= 0 && dup2(s->items[i].fd, next++) < 0)
            return -errno;
    }
    return next - PF_SHELF_FIRST;
}
