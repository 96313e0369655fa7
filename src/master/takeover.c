/* What the master before this one handed over, in the process in which it was executed.
 *
 * It is the process's, and not a server's: the program is executed from its beginning, and
 * the first server it runs is the successor. It is looked for as early as can be, when the
 * first server is made, so that no program that is started on the way inherits any of it,
 * and so that a config file can be read from what was held of it.
 *
 * There are two ways for it to come: a state that was inherited over execve(2), whose
 * descriptors are where they were; and after the death of a master a state that somebody
 * kept (kept.c).
 *
 * What is wrong with it is told when the server is to run, because only then somebody
 * listens. */
#include "master/takeover.h"

#include "base/text.h"
#include "master/checking.h"
#include "master/kept.h"
#include "master/succession.h"
#include "os/fd.h"
#include "os/image.h"
#include "os/memory.h"
#include "os/process.h"
#include "os/signal.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct pf_state *taken;    /* NULL: nothing, or not yet */
static struct pf_listeners given; /* came with it: from outside, or as they were left */
static struct pf_error fault;     /* of what there was */
static bool looked;

static void
hold_back(void *context, int *fd)
{
    (void)context;
    if (*fd >= 0 && pf_fd_set_cloexec(*fd, true) < 0)
        *fd = -1; /* it is not open */
}

/* By its descriptor it has no path, or the path of another one. What a service manager has
 * started is at the path by which it was called, and so are its files: of what the last
 * master was made nothing was stored there. */
static void
name_image(const struct pf_state *s)
{
    for (unsigned i = 0; i < s->file_count; i++) {
        if (s->files[i].role == PF_FILE_EXECUTABLE && s->files[i].fd >= 0 &&
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
    struct pf_state *s = pf_memory_new_own(sizeof *s);

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

/* ---- what there is --------------------------------------------------------------------
 */

/* "FD", or after the crash of a program on trial "FD:CAUSE". */
static void
look_for_state(const char *text)
{
    char *end = NULL;
    long fd = strtol(text, &end, 10);
    long cause = *end == ':' ? strtol(end + 1, &end, 10) : -1;

    if (end != text && *end == '\0' && fd >= 0 && fd <= INT_MAX && cause <= PF_SIGNAL_LAST)
        take((int)fd, (int)cause);
    else
        (void)pf_error_set(&fault, PREFORK_EXIT_CONFIG, EINVAL,
                           "environment variable %s: \"%.80s\" is no descriptor",
                           PF_SUCCESSION_VARIABLE, text);
    (void)unsetenv(PF_SUCCESSION_VARIABLE);
}

static void
look_for_kept(void)
{
    struct pf_state *s = pf_kept_find(&given, &fault);

    if (s)
        accept_state(s);
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

/* It is to be what was good, and not what is in its place by now: as long as somebody has
 * held that. */
static bool
comes_back(const struct pf_state *s)
{
    return s->kind == PF_STATE_ROLLBACK || s->kind == PF_STATE_ADOPT;
}

int
pf_takeover_held(enum pf_file_role role, const char *path)
{
    char *whole = taken && comes_back(taken) ? pf_image_absolute(path) : NULL;
    int fd = -1;

    for (unsigned i = 0; whole && i < taken->file_count; i++) {
        const struct pf_state_file *f = &taken->files[i];
        if (f->role == role && strcmp(f->path, whole) == 0)
            fd = f->fd;
    }
    free(whole);
    return fd;
}
