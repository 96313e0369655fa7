/* Descriptors that somebody opened, or kept, before we were started.
 *
 * The protocol is that of sd_listen_fds(3): LISTEN_FDS descriptors from 3 upwards, meant
 * for the process that LISTEN_PID names. The variables are read, removed, and only then
 * acted upon, so that no program started later takes them for its own. Every descriptor is
 * looked at before it is believed (net/given.c); the first that is neither a listening
 * stream socket nor a bound datagram socket ends the start, since it is a mistake in the
 * manager's configuration and serving half of it would hide that.
 *
 * A listener is recognised by its address. Its name (LISTEN_FDNAMES) only tells it from
 * what a master before this one had stored, which may be anything and is for others to
 * understand. Of those there may be some for each worker; so only sockets are counted. The
 * manager shares the open socket, so the non-blocking mode set here is seen by it as well.
 */
#include "net/inherit.h"

#include "base/text.h"
#include "net/given.h"
#include "net/handed.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FIRST_FD = 3, /* SD_LISTEN_FDS_START */
    FDS_MAX = 1 << 20,
};

/* What the variables say; 0 if one is not set. */
struct promise {
    uint64_t pid;
    uint64_t fds;
    char *names; /* with colons between them; owned; NULL: none */
};

/* One call of pf_inherit_listen_fds(). */
struct taking {
    struct pf_listeners *ls;
    pf_inherit_stored *stored;
    void *context;
    struct pf_error *error;
};

static int
read_variable(const char *name, uint64_t *ret_number, struct pf_error *error)
{
    const char *text = getenv(name);
    int e;

    if (!text)
        return 0;
    e = pf_text_number(text, ret_number);
    if (e < 0)
        return pf_error_set(error, PREFORK_EXIT_CONFIG, -e,
                            "environment variable %s: \"%.80s\" is not a number", name,
                            text);
    return 0;
}

static int
read_names(struct promise *p, struct pf_error *error)
{
    const char *names = getenv("LISTEN_FDNAMES");

    if (!names)
        return 0;
    p->names = pf_text_copy(names);
    return p->names ? 0
                    : pf_error_set(error, PREFORK_EXIT_SYSTEM, ENOMEM,
                                   "environment variable LISTEN_FDNAMES: out of memory");
}

/* What is promised to this process: p->fds is 0 if nothing is. */
static int
read_promise(struct promise *p, struct pf_error *error)
{
    int e = read_variable("LISTEN_PID", &p->pid, error);

    if (e < 0 || p->pid != (uint64_t)getpid())
        return e;
    e = read_variable("LISTEN_FDS", &p->fds, error);
    if (e < 0)
        return e;
    if (p->fds > FDS_MAX)
        return pf_error_set(error, PREFORK_EXIT_CONFIG, ERANGE,
                            "environment variable LISTEN_FDS: %llu descriptors, and %d "
                            "are the most",
                            (unsigned long long)p->fds, FDS_MAX);
    return read_names(p, error);
}

static void
forget_variables(void)
{
    (void)unsetenv("LISTEN_PID"); /* fails only for names that are none */
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
}

/* Not what systemd calls the sockets of a unit prefork.socket. */
static bool
is_stored(const char *name)
{
    static const char ours[] = "prefork.", unit[] = ".socket";
    size_t n = name ? strlen(name) : 0;

    return name && strncmp(name, ours, strlen(ours)) == 0 &&
           (n < strlen(unit) || strcmp(name + n - strlen(unit), unit) != 0);
}

static int
hand_on(const struct taking *t, const char *name, int fd)
{
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return pf_error_set(t->error, PREFORK_EXIT_CONFIG, errno,
                            "LISTEN_FDS: descriptor %d (%s) is not open", fd, name);
    if (t->stored)
        return t->stored(t->context, name, fd, t->error);
    (void)close(fd); /* nothing was written to it */
    return 0;
}

static int
take_over(const struct taking *t, int fd)
{
    struct pf_listener l = {.fd = fd, .inherited = true};
    int e = pf_given_learn(&l, "LISTEN_FDS", t->error);

    if (e == 0 && !pf_listeners_add(t->ls, &l))
        e = pf_error_set(t->error, PREFORK_EXIT_CONFIG, ENOSPC,
                         "LISTEN_FDS: more than %d listening sockets", PF_LISTENERS_MAX);
    return e;
}

static int
take_all(const struct taking *t, const struct promise *p)
{
    char *rest = p->names;
    int e = 0;

    for (unsigned i = 0; e == 0 && i < p->fds; i++) {
        const char *name = rest ? strsep(&rest, ":") : NULL;
        int fd = FIRST_FD + (int)i;
        e = is_stored(name) ? hand_on(t, name, fd) : take_over(t, fd);
    }
    return e;
}

int
pf_inherit_listen_fds(struct pf_listeners *ls, pf_inherit_stored *stored, void *context,
                      struct pf_error *error)
{
    const struct taking t = {ls, stored, context, error};
    const unsigned before = ls->count;
    struct promise p = {0};
    int e = read_promise(&p, error);

    forget_variables();
    if (e == 0)
        e = take_all(&t, &p);
    free(p.names);
    if (e < 0) {
        ls->count = before;
        return e;
    }
    return (int)(ls->count - before);
}

/* That its path leads to it is the best that can be known of a unix socket's file. */
int
pf_inherit_lone(struct pf_listeners *ls, int fd, unsigned id, struct pf_error *error)
{
    struct pf_listener l = {.fd = fd};
    struct stat st = {.st_ino = 0};
    int r = pf_given_learn(&l, "what was kept", error);

    if (r < 0)
        return r;
    if (l.family == AF_UNIX && stat(l.address, &st) < 0)
        st.st_ino = 0;
    return pf_listeners_adopt(ls,
                              &(struct pf_listener_handed){.fd = fd,
                                                           .id = id,
                                                           .proto = l.proto,
                                                           .dev = st.st_dev,
                                                           .ino = st.st_ino,
                                                           .address = l.address},
                              error);
}
