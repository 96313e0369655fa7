/* From one program to the next in the same process.
 *
 * The state (link/state.h) is all that goes along, and every descriptor that is named in
 * it: they lose close-on-exec for the one execve(2), and have it again if that was refused.
 * Signals are blocked meanwhile by whoever calls.
 *
 * Memory for it is taken before it is needed, because a server that is short of it must
 * still be able to reload. */
#include "master/succession.h"

#include "net/handed.h"
#include "os/fd.h"
#include "os/lifeline.h"
#include "os/memory.h"
#include "os/signal.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int
pf_succession_open(struct pf_succession *s, unsigned workers)
{
    size_t table = workers * sizeof(struct pf_state_worker);

    s->capacity = workers;
    s->text_bytes = pf_state_bytes(workers);
    s->bytes = sizeof *s->state + table + s->text_bytes;
    s->state = pf_memory_new_own(s->bytes);
    if (!s->state)
        return -ENOMEM;
    s->state->workers = (struct pf_state_worker *)(s->state + 1);
    s->state->worker_capacity = workers;
    s->text = (char *)(s->state + 1) + table;
    return 0;
}

void
pf_succession_close(struct pf_succession *s)
{
    pf_memory_free(s->state, s->bytes);
    s->state = NULL;
    s->text = NULL;
}

/* ---- what is in it --------------------------------------------------------------------
 */

static void
describe_process(struct pf_state *s, const struct pf_belongings *b)
{
    const struct pf_daemonized *d = b->daemonized;

    (void)snprintf(s->name, sizeof s->name, "%s", b->name); /* cut is fine */
    s->pid = getpid();
    s->generation = b->generation;
    s->reload = b->reload;
    s->mask = pf_signal_at_start();
    pf_fd_limit_at_start(&s->nofile_soft, &s->nofile_hard);
    s->watchdog = b->herald->watchdog;
    s->forked = b->herald->forked;
    if (d->pid_fd >= 0)
        (void)snprintf(s->pid_file, sizeof s->pid_file, "%s", d->pid_place.path);
    s->fds[PF_STATE_FD_PID] = d->pid_fd;
    s->fds[PF_STATE_FD_NOTIFY] = b->herald->fd;
    s->fds[PF_STATE_FD_STORE] = b->keeper;
}

static void
describe_listeners(struct pf_state *s, const struct pf_listeners *ls)
{
    s->listener_count = ls->count;
    for (unsigned i = 0; i < ls->count; i++) {
        struct pf_listener_handed h = pf_listener_describe(&ls->table[i]);
        struct pf_state_listener *l = &s->listeners[i];
        *l = (struct pf_state_listener){.fd = h.fd,
                                        .id = h.id,
                                        .proto = h.proto,
                                        .shard = h.shard,
                                        .inherited = h.inherited,
                                        .any_port = h.any_port,
                                        .dev = h.dev,
                                        .ino = h.ino};
        (void)snprintf(l->address, sizeof l->address, "%s", h.address);
    }
}

static void
describe_files(struct pf_state *s, const struct pf_held *held)
{
    s->file_count = held->count;
    for (unsigned i = 0; i < held->count; i++) {
        s->files[i].fd = held->files[i].fd;
        s->files[i].role = held->files[i].role;
        (void)snprintf(s->files[i].path, sizeof s->files[i].path, "%s",
                       held->files[i].path);
    }
}

void
pf_succession_describe(struct pf_state *s, const struct pf_belongings *b)
{
    pf_state_init(s);
    describe_process(s, b);
    describe_listeners(s, b->listeners);
    describe_files(s, b->held);
}

/* ---- going ----------------------------------------------------------------------------
 */

static void
let_through(void *context, int *fd)
{
    (void)context;
    if (*fd >= 0)
        (void)pf_fd_set_cloexec(*fd, false);
}

static void
hold_back(void *context, int *fd)
{
    (void)context;
    if (*fd >= 0)
        (void)pf_fd_set_cloexec(*fd, true);
}

static int
go(struct pf_state *s, char *text, size_t bytes, const struct pf_image *image, int exe)
{
    int fd = pf_state_seal(s, text, bytes);
    int r;

    if (fd < 0)
        return fd;
    (void)fflush(NULL);
    let_through(NULL, &fd);
    pf_state_each_fd(s, let_through, NULL);
    r = pf_image_exec(image, exe, PF_SUCCESSION_VARIABLE, fd);
    pf_state_each_fd(s, hold_back, NULL);
    pf_fd_close(&fd);
    return r;
}

int
pf_succession_exec(const struct pf_succession *s, const struct pf_image *image, int exe)
{
    return go(s->state, s->text, s->text_bytes, image, exe);
}

int
pf_succession_executable(const struct pf_state *s)
{
    for (unsigned i = 0; i < s->file_count; i++) {
        if (s->files[i].role == PF_FILE_EXECUTABLE)
            return s->files[i].fd;
    }
    return -1;
}

/* ---- after a crash ----------------------------------------------------------------------
 */

struct collection {
    int *fds;
    unsigned count;
};

static void
count_fd(void *context, int *fd)
{
    (void)fd;
    ++*(unsigned *)context;
}

static void
collect(void *context, int *fd)
{
    struct collection *c = context;

    if (*fd >= 0)
        c->fds[c->count++] = *fd;
}

/* The state as it came, but for what it is to be; or a negative errno. */
static int
seal_return(struct pf_state *s)
{
    const enum pf_state_kind kind = s->kind;
    size_t bytes = pf_state_bytes(s->worker_count);
    char *text = pf_memory_new(bytes);
    int fd;

    s->kind = PF_STATE_ROLLBACK;
    fd = text ? pf_state_seal(s, text, bytes) : -ENOMEM;
    s->kind = kind;
    pf_memory_free(text, bytes);
    return fd;
}

void
pf_succession_secure(struct pf_state *s, const struct pf_image *image)
{
    unsigned most = 0;
    struct collection c = {.count = 0};
    struct pf_lifeline way = {.image = image,
                              .exe = pf_succession_executable(s),
                              .name = PF_SUCCESSION_VARIABLE,
                              .fd = seal_return(s)};

    pf_state_each_fd(s, count_fd, &most);
    c.fds = pf_memory_new((most + 1) * sizeof *c.fds);
    if (c.fds)
        pf_state_each_fd(s, collect, &c);
    way.others = c.fds;
    way.count = c.count;
    if (way.fd >= 0 && (way.exe < 0 || !c.fds || pf_lifeline_open(&way) < 0))
        pf_fd_close(&way.fd);
    pf_memory_free(c.fds, (most + 1) * sizeof *c.fds);
}

void
pf_succession_explain(struct pf_state *s, int cause)
{
    if (cause == PF_LIFELINE_EXIT)
        (void)snprintf(s->reason, sizeof s->reason,
                       "the new program ended while it took over");
    else if (cause == PF_LIFELINE_LATE)
        (void)snprintf(s->reason, sizeof s->reason,
                       "the new program did not take over in time (reload_timeout)");
    else
        (void)snprintf(s->reason, sizeof s->reason,
                       "the new program was ended by SIG%s while it took over",
                       pf_signal_name(cause));
}

/* ---- back -------------------------------------------------------------------------------
 */

void
pf_succession_return(struct pf_state *s, const struct pf_image *image, const char *reason)
{
    size_t bytes = pf_state_bytes(s->worker_count);
    char *text = pf_memory_new(bytes);
    int exe = pf_succession_executable(s);

    pf_lifeline_close();
    s->kind = PF_STATE_ROLLBACK;
    (void)snprintf(s->reason, sizeof s->reason, "%s", reason);
    if (text && exe >= 0)
        (void)go(s, text, bytes, image, exe);
    pf_memory_free(text, bytes);
}
