/* TLS: the module, and waiting on its behalf.
 *
 * The module is looked for beside this library, where the build leaves it, and in the
 * directory prefork/ beside this library, where it is installed. So a copied tree works
 * wherever it stands, and no path of the environment is trusted.
 *
 * A handshake has a deadline for the whole of it, so a client that says nothing, or one
 * byte at a time, costs a worker that long and no longer. Afterwards reading and writing
 * wait as they do on a plain connection. */
#include "net/tls.h"

#include "net/connection.h"
#include "net/listener.h"
#include "os/clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DRAIN_BYTES = 4096,
    DRAIN_TIMES = 16,
    SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL,
};

#define MODULE_FILE "prefork-tls.so"

struct pf_tls {
    struct pf_tls_context *context;
    pf_time handshake_timeout;
};

static const struct pf_tls_module *module; /* NULL until a port needs it */

/* ---- the module -------------------------------------------------------------------- */

static int refuse(struct pf_tls_fault *fault, const char *format, ...) PF_PRINTF(2, 3);

static int
refuse(struct pf_tls_fault *fault, const char *format, ...)
{
    va_list args;

    *fault = (struct pf_tls_fault){0};
    va_start(args, format);
    (void)vsnprintf(fault->text, sizeof fault->text, format, args); /* cut is fine */
    va_end(args);
    return -EINVAL;
}

/* The directory of the file that holds this code: 0 or a negative errno. */
static int
own_directory(char path[PATH_MAX])
{
    static const char here;
    Dl_info info;
    char *slash;

    if (dladdr(&here, &info) == 0 || !info.dli_fname || !realpath(info.dli_fname, path))
        return -ENOENT;
    slash = strrchr(path, '/');
    if (!slash)
        return -ENOENT;
    *slash = '\0';
    return 0;
}

/* The first that is there; if none is, the one that should be. */
static int
find_module(char path[PATH_MAX])
{
    static const char *const places[] = {"", "prefork/"};
    char directory[PATH_MAX];
    int r = own_directory(directory);

    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (snprintf(path, PATH_MAX, "%s/%s%s", directory, places[i], MODULE_FILE) >=
            PATH_MAX)
            return -ENAMETOOLONG;
        if (access(path, F_OK) == 0)
            break;
    }
    return 0;
}

static int
load_module(struct pf_tls_fault *fault)
{
    const struct pf_tls_module *found;
    char path[PATH_MAX];
    void *object;

    if (module)
        return 0;
    if (find_module(path) < 0)
        return refuse(fault, "cannot tell where %s is", MODULE_FILE);
    object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object)
        return refuse(fault, "there is no TLS without its module: %s", dlerror());
    found = dlsym(object, PF_TLS_SYMBOL);
    if (!found || found->abi != PF_TLS_ABI)
        return refuse(fault, "%s belongs to another version of prefork: install both anew",
                      path);
    module = found;
    return 0;
}

/* ---- ports ------------------------------------------------------------------------- */

int
pf_tls_open(const struct pf_tls_setup *setup, pf_time handshake_timeout,
            struct pf_tls **ret_tls, struct pf_tls_fault *fault)
{
    struct pf_tls *tls;
    int r = load_module(fault);

    if (r < 0)
        return r;
    tls = calloc(1, sizeof *tls);
    if (!tls)
        return refuse(fault, "out of memory");
    tls->handshake_timeout = handshake_timeout;
    r = module->open(setup, &tls->context, fault);
    if (r < 0)
        free(tls);
    else
        *ret_tls = tls;
    return r;
}

void
pf_tls_close(struct pf_tls *tls)
{
    if (!tls)
        return;
    module->close(tls->context);
    free(tls);
}

static bool
has_tls(const struct pf_listener *l)
{
    return l->endpoint && l->endpoint->tls;
}

void
pf_tls_prepare(const struct pf_listeners *listeners)
{
    int on = 1;

    for (unsigned i = 0; i < listeners->count; i++) {
        if (has_tls(&listeners->table[i])) /* a socket without it is slower, not wrong */
            (void)setsockopt(listeners->table[i].fd, IPPROTO_TCP, TCP_NODELAY, &on,
                             sizeof on);
    }
}

void
pf_tls_before_fork(const struct pf_listeners *listeners, pf_time now)
{
    for (unsigned i = 0; i < listeners->count; i++) {
        if (has_tls(&listeners->table[i]))
            module->advance(listeners->table[i].endpoint->tls->context, now);
    }
}

/* ---- sessions over a reload -----------------------------------------------------------
 */

/* Keys of the port behind a listener, which has the same number in every master. */
struct handed {
    unsigned id;
    unsigned bytes;
    unsigned char keys[PF_TLS_KEYS_BYTES];
};

static bool
write_keys(int fd, const struct pf_listener *l)
{
    struct handed h = {.id = l->id};
    bool done = true;

    h.bytes = (unsigned)module->give_keys(l->endpoint->tls->context, h.keys);
    if (h.bytes > 0)
        done = write(fd, &h, sizeof h) == (ssize_t)sizeof h;
    explicit_bzero(&h, sizeof h);
    return done;
}

static bool
is_needed(const struct pf_listeners *listeners)
{
    for (unsigned i = 0; i < listeners->count; i++) {
        if (has_tls(&listeners->table[i]))
            return true;
    }
    return false;
}

int
pf_tls_hand_over(const struct pf_listeners *listeners, pf_time now)
{
    int fd = is_needed(listeners)
                 ? memfd_create("prefork-tickets", MFD_CLOEXEC | MFD_ALLOW_SEALING)
                 : -1;

    if (fd < 0)
        return -1;
    pf_tls_before_fork(listeners, now);
    for (unsigned i = 0; i < listeners->count; i++) {
        if (has_tls(&listeners->table[i]) && !write_keys(fd, &listeners->table[i]))
            break; /* the others do without */
    }
    (void)fcntl(fd, F_ADD_SEALS, SEALS);
    return fd;
}

static void
take_keys(const struct pf_listeners *listeners, const struct handed *h)
{
    for (unsigned i = 0; i < listeners->count; i++) {
        const struct pf_listener *l = &listeners->table[i];
        if (l->id == h->id && has_tls(l) && h->bytes <= sizeof h->keys)
            module->take_keys(l->endpoint->tls->context, h->keys, h->bytes);
    }
}

void
pf_tls_take_over(const struct pf_listeners *listeners, int fd)
{
    struct handed h;
    off_t at = 0;

    if (fd < 0 || fcntl(fd, F_GET_SEALS) != SEALS)
        return;
    for (; pread(fd, &h, sizeof h, at) == (ssize_t)sizeof h; at += (off_t)sizeof h)
        take_keys(listeners, &h);
    explicit_bzero(&h, sizeof h);
}

/* ---- connections ------------------------------------------------------------------- */

/* 0 when the socket is ready or a signal came, -ETIMEDOUT, or another negative errno. */
static int
wait_until(const struct prefork_conn *c, pf_time deadline)
{
    struct pollfd p = {.fd = c->fd, .events = module->wants(c->tls)};
    int left = pf_clock_milliseconds_until(deadline);
    int n;

    if (left == 0)
        return -ETIMEDOUT;
    n = poll(&p, 1, left);
    return n < 0 && errno != EINTR ? -errno : 0;
}

int
pf_tls_accept(struct prefork_conn *c, const struct pf_tls *tls, const char **ret_reason)
{
    pf_time deadline = pf_time_after(pf_clock_now(), tls->handshake_timeout);
    int r = -EAGAIN;

    c->tls = module->start(tls->context, c->fd, c);
    if (!c->tls) {
        *ret_reason = "out of memory";
        return -ENOMEM;
    }
    for (;;) {
        r = module->handshake(c->tls);
        if (r != -EAGAIN)
            break;
        r = wait_until(c, deadline);
        if (r < 0)
            break;
    }
    if (r == -ETIMEDOUT)
        *ret_reason = "it took longer than SSL_handshake_timeout";
    else if (r < 0)
        *ret_reason = module->reason(c->tls);
    return r;
}

ssize_t
pf_tls_read(struct prefork_conn *c, void *buffer, size_t size)
{
    if (size == 0)
        return 0;
    for (;;) {
        ssize_t n = module->read(c->tls, buffer, size);
        int r;
        if (n != -EAGAIN)
            return n;
        r = wait_until(c, PF_NEVER);
        if (r < 0)
            return r;
    }
}

int
pf_tls_write(struct prefork_conn *c, const void *bytes, size_t size)
{
    const char *next = bytes;

    while (size > 0) {
        ssize_t n = module->write(c->tls, next, size);
        if (n == -EAGAIN)
            n = wait_until(c, PF_NEVER);
        if (n < 0)
            return (int)n;
        next += n;
        size -= (size_t)n;
    }
    return 0;
}

/* What the client sent and nobody read would make the kernel reset the connection when it
 * is closed, and the client might lose what it was sent last. On a plain connection that
 * takes a client that sends too much; here its farewell is enough. */
static void
drain(const struct prefork_conn *c)
{
    char sink[DRAIN_BYTES];

    for (int i = 0; i < DRAIN_TIMES; i++) {
        if (recv(c->fd, sink, sizeof sink, MSG_DONTWAIT) <= 0)
            return;
    }
}

void
pf_tls_finish(struct prefork_conn *c)
{
    if (!c->tls)
        return;
    (void)module->shut(c->tls); /* a client that is gone is no news */
    drain(c);
    module->end(c->tls);
    c->tls = NULL;
}

ssize_t
pf_tls_try_read(struct prefork_conn *c, void *buffer, size_t size, short *ret_wants)
{
    ssize_t n = module->read(c->tls, buffer, size);

    *ret_wants = module->wants(c->tls);
    return n;
}

ssize_t
pf_tls_try_write(struct prefork_conn *c, const void *bytes, size_t size, short *ret_wants)
{
    ssize_t n = module->write(c->tls, bytes, size);

    *ret_wants = module->wants(c->tls);
    return n;
}

int
pf_tls_shut(struct prefork_conn *c)
{
    return module->shut(c->tls);
}

const char *
pf_tls_fact(struct prefork_conn *c, enum pf_tls_fact fact)
{
    return c->tls ? module->fact(c->tls, fact) : "";
}

bool
pf_tls_is_verified(const struct prefork_conn *c)
{
    return c->tls && module->is_verified(c->tls);
}

bool
pf_tls_is_resumed(const struct prefork_conn *c)
{
    return c->tls && module->is_resumed(c->tls);
}
