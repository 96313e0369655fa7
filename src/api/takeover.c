/* What the master before this one handed over, in the process in which it was executed.
 *
 * It is the process's, and not a server's: the program is executed from its beginning, and
 * the first server it runs is the successor. It is looked for as early as can be, when the
 * first server is made, so that no program that is started on the way inherits any of it,
 * and so that a config file can be read from what was held of it.
 *
 * There are two ways for it to come: a state that was inherited over execve(2), whose
 * descriptors are where they were; and after the death of a master a state that somebody
 * kept, with all its descriptors by their names (link/stored.h).
 *
 * What is wrong with it is told when the server is to run, because only then somebody
 * listens. */
#include "api/server.h"
#include "base/text.h"
#include "link/stored.h"
#include "net/given.h"
#include "net/handed.h"
#include "net/inherit.h"
#include "os/fd.h"
#include "os/image.h"
#include "os/memory.h"
#include "os/process.h"
#include "os/signal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct kept {
    char name[PF_STORED_NAME_BYTES];
    int fd;
    bool used;
};

static struct pf_state *taken;    /* NULL: nothing, or not yet */
static struct pf_listeners given; /* came with it: from outside, or as they were left */
static struct pf_error fault;     /* of what there was */
static bool looked;
static struct kept *kept; /* while it is sorted */
static unsigned kept_count;

static void
hold_back(void *context, int *fd)
{
    (void)context;
    if (*fd >= 0 && pf_fd_set_cloexec(*fd, true) < 0)
        *fd = -1; /* it is not open */
}

/* By its descriptor it has no path, or the path of another one. */
static void
name_image(const struct pf_state *s)
{
    for (unsigned i = 0; i < s->file_count; i++) {
        if (s->files[i].role == PF_FILE_EXECUTABLE &&
            pf_image_rename(pf_image_here(), s->files[i].path) < 0)
            (void)pf_error_set(&fault, PREFORK_EXIT_SYSTEM, ENOMEM, "out of memory");
    }
}

static void
accept_state(struct pf_state *s)
{
    pf_state_each_fd(s, hold_back, NULL);
    pf_signal_adopt(s->mask);
    pf_fd_limit_adopt(s->nofile_soft, s->nofile_hard);
    name_image(s);
    taken = s;
}

/* ---- inherited over execve(2) ----------------------------------------------------------
 */

static void
take(int fd, int cause)
{
    struct pf_state *s = pf_memory_new(sizeof *s);

    if (!s) {
        (void)pf_error_set(&fault, PREFORK_EXIT_SYSTEM, ENOMEM, "out of memory");
        return;
    }
    (void)pf_fd_set_cloexec(fd, true);
    if (pf_state_open(s, fd, &fault) < 0)
        s->kind = PF_STATE_ADOPT; /* there is nobody to go back to */
    pf_fd_close(&fd);
    if (cause >= 0)
        pf_succession_explain(s, cause);
    accept_state(s);
    if (s->kind == PF_STATE_TRIAL)
        pf_succession_secure(s, pf_image_here());
}

/* ---- handed in by name, by whoever kept it while there was no master ------------------
 */

static int
store(void *context, const char *name, int fd, struct pf_error *error)
{
    struct kept *k = realloc(kept, (kept_count + 1) * sizeof *kept);

    (void)context;
    if (!k) {
        pf_fd_close(&fd);
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, ENOMEM, "out of memory");
    }
    kept = k;
    k[kept_count] = (struct kept){.fd = fd};
    (void)snprintf(k[kept_count].name, sizeof k->name, "%s", name);
    kept_count++;
    return 0;
}

static int
find_kept(void *context, const char *name)
{
    (void)context;
    for (unsigned i = 0; i < kept_count; i++) {
        if (strcmp(kept[i].name, name) == 0) {
            kept[i].used = true;
            return kept[i].fd;
        }
    }
    return -1;
}

/* Of several states the one that was stored last. */
static int
find_last_state(void)
{
    uint64_t last = 0;
    int fd = -1;

    for (unsigned i = 0; i < kept_count; i++) {
        uint64_t number = 0;
        if (pf_stored_number(kept[i].name, "state", &number) && number >= last) {
            last = number;
            fd = kept[i].fd;
        }
    }
    return fd;
}

/* An orderly stop leaves the listeners, and nothing that says more of them. */
static void
adopt_lone_listener(struct kept *k, uint64_t id)
{
    struct pf_listener l = {.fd = k->fd};
    struct stat st = {.st_ino = 0};
    int r = id > UINT_MAX ? -ERANGE : pf_given_learn(&l, "what was kept", &fault);

    if (l.family == AF_UNIX && stat(l.address, &st) < 0)
        st.st_ino = 0;
    if (r == 0)
        r = pf_listeners_adopt(&given,
                               &(struct pf_listener_handed){.fd = k->fd,
                                                            .id = (unsigned)id,
                                                            .proto = l.proto,
                                                            .dev = st.st_dev,
                                                            .ino = st.st_ino,
                                                            .address = l.address},
                               &fault);
    if (r < 0)
        pf_fd_close(&k->fd); /* and fault says why, or there is no such number */
}

static void
adopt_lone_listeners(void)
{
    for (unsigned i = 0; i < kept_count; i++) {
        uint64_t id = 0;
        if (pf_stored_number(kept[i].name, "l", &id)) {
            kept[i].used = true;
            adopt_lone_listener(&kept[i], id);
        }
    }
}

static void
forget_kept(void)
{
    for (unsigned i = 0; i < kept_count; i++) {
        if (!kept[i].used)
            pf_fd_close(&kept[i].fd);
    }
    free(kept);
    kept = NULL;
    kept_count = 0;
}

static void
adopt_state(int fd)
{
    struct pf_state *s = pf_memory_new(sizeof *s);

    if (!s || pf_state_open(s, fd, &fault) < 0) {
        pf_memory_free(s, sizeof *s);
        return;
    }
    s->kind = PF_STATE_ADOPT;
    pf_stored_bring_back(s, find_kept, NULL);
    accept_state(s);
}

static void
look_for_kept(void)
{
    const char *names = getenv("LISTEN_FDNAMES");
    int fd;

    if (!names || !strstr(names, "prefork."))
        return;
    if (pf_inherit_listen_fds(&given, store, NULL, &fault) < 0)
        return;
    fd = find_last_state();
    if (fd >= 0)
        adopt_state(fd);
    else
        adopt_lone_listeners();
    forget_kept();
}

/* ---- what there is --------------------------------------------------------------------
 */

/* "FD", or after the crash of a program on trial "FD:CAUSE". */
static void
look_for_state(const char *text)
{
    int fd = -1;
    int cause = -1;

    if (sscanf(text, "%d:%d", &fd, &cause) >= 1 && fd >= 0)
        take(fd, cause);
    else
        (void)pf_error_set(&fault, PREFORK_EXIT_CONFIG, EINVAL,
                           "environment variable %s: \"%.80s\" is no descriptor",
                           PF_SUCCESSION_VARIABLE, text);
    (void)unsetenv(PF_SUCCESSION_VARIABLE);
}

struct pf_state *
pf_takeover_find(void)
{
    const char *text = getenv(PF_SUCCESSION_VARIABLE);

    if (looked)
        return taken;
    looked = true;
    if (text)
        look_for_state(text);
    else
        look_for_kept();
    return taken;
}

/* The program is executed in the place of a master, and must be that master: what another
 * process would do with all of this is not known to anybody. */
static void
check_process(void)
{
    if (!taken || fault.exit_code != 0 || taken->kind == PF_STATE_ADOPT ||
        taken->pid == getpid())
        return;
    (void)pf_error_set(&fault, PREFORK_EXIT_SOFTWARE, ECHILD,
                       "the program forks before it runs its server: what is executed as "
                       "process %d has to run it itself; set reload_mode to workers",
                       (int)taken->pid);
}

int
pf_takeover_check(struct pf_error *error)
{
    check_process();
    if (fault.exit_code == 0)
        return 0;
    *error = fault;
    return -EBADMSG;
}

struct pf_state *
pf_takeover_take(struct pf_listeners *listeners)
{
    struct pf_state *s = taken;

    if (given.count + given.handed_count > 0) { /* or its pages stay untouched */
        *listeners = given;
        given.count = given.handed_count = 0;
    }
    taken = NULL;
    return s;
}

void
pf_takeover_fail(const char *reason)
{
    if (!taken)
        return;
    if (taken->kind == PF_STATE_CHECK) {
        pf_checking_answer(taken, reason);
        pf_process_exit(PREFORK_EXIT_OK);
    }
    if (taken->kind == PF_STATE_TRIAL)
        pf_succession_return(taken, pf_image_here(), reason);
}

/* It is to be what was good, and not what is in its place by now. */
static bool
comes_back(const struct pf_state *s)
{
    return s->kind == PF_STATE_ROLLBACK || s->kind == PF_STATE_ADOPT;
}

int
pf_takeover_held(enum pf_file_role role, const char *path)
{
    char *whole = taken && comes_back(taken) ? pf_files_absolute(path) : NULL;
    int fd = -1;

    for (unsigned i = 0; whole && i < taken->file_count; i++) {
        const struct pf_state_file *f = &taken->files[i];
        if (f->role == role && strcmp(f->path, whole) == 0)
            fd = f->fd;
    }
    free(whole);
    return fd;
}
