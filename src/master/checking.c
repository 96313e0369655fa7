/* Before one program gives way to the next: can that take over at all?
 *
 * A child executes it, with the same arguments and a state of kind CHECK. It reads its
 * settings, loads its code, opens and closes what it has to listen on, writes a sentence to
 * a pipe and ends. Whatever else becomes of it (it crashes, it hangs, it is no program) is
 * a verdict too, and all of it happens to a child.
 *
 * Who waits for it and how is left to the caller: the master in its loop (upgrade.c), a
 * server without workers between two connections (renewal.c). */
#include "master/checking.h"

#include "os/fd.h"
#include "os/memory.h"
#include "os/signal.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct verdict {
    bool can;
    char text[PF_CHECKING_TEXT_BYTES];
};

static void
write_verdict(int fd, const char *fault)
{
    struct verdict v = {.can = fault == NULL};
    ssize_t n;

    (void)snprintf(v.text, sizeof v.text, "%s", fault ? fault : "");
    n = write(fd, &v, sizeof v); /* smaller than PIPE_BUF */
    (void)n;                     /* who asked may be gone */
}

void
pf_checking_answer(const struct pf_state *s, const char *fault)
{
    write_verdict(s->fds[PF_STATE_FD_VERDICT], fault);
}

/* *next is a copy: what the caller has is not there in a child (os/memory.h). */
PF_NORETURN static void
become_check(const struct pf_succession *next, const struct pf_image *image)
{
    struct pf_state *s = next->state;
    char reason[PF_CHECKING_TEXT_BYTES];
    int r;

    pf_process_lead_group();
    pf_process_die_with_parent(SIGKILL, s->pid);
    s->pid = getpid(); /* whoever takes it up is to be this process */
    pf_signal_forget();
    r = pf_succession_exec(next, image, -1);
    (void)snprintf(reason, sizeof reason, "cannot execute %s: %s", image->path,
                   strerror(-r));
    write_verdict(s->fds[PF_STATE_FD_VERDICT], reason);
    pf_process_exit(PREFORK_EXIT_SYSTEM);
}

/* It has nothing to do with workers. */
static int
fork_check(struct pf_checking *c, const struct pf_succession *next,
           const struct pf_image *image, int verdict)
{
    const struct pf_succession copy = *next;
    struct pf_state *s = next->state;
    int r;

    s->kind = PF_STATE_CHECK;
    s->fds[PF_STATE_FD_VERDICT] = verdict;
    s->fds[PF_STATE_FD_NOTIFY] = -1;
    s->fds[PF_STATE_FD_SCORE] = -1;
    s->fds[PF_STATE_FD_PAGES] = -1;
    s->worker_count = 0;
    (void)fflush(NULL);
    pf_memory_inherit(next->state, next->bytes, true);
    r = pf_process_fork(&c->child);
    if (r == 0)
        become_check(&copy, image);
    pf_memory_inherit(next->state, next->bytes, false);
    return r < 0 ? r : 0;
}

static void
forget(struct pf_checking *c)
{
    pf_fd_close(&c->verdict);
    pf_fd_close(&c->child.pidfd);
    *c = PF_CHECKING_NONE;
}

int
pf_checking_start(struct pf_checking *c, const struct pf_succession *next,
                  const struct pf_image *image)
{
    int ends[2];
    int r;

    *c = PF_CHECKING_NONE;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    r = fork_check(c, next, image, ends[1]);
    (void)close(ends[1]); /* nothing was written to it */
    c->verdict = ends[0];
    if (r < 0)
        forget(c);
    return r;
}

void
pf_checking_expire(struct pf_checking *c)
{
    c->too_late = true;
    pf_process_signal(&c->child, SIGKILL);
}

bool
pf_checking_hear(struct pf_checking *c)
{
    struct verdict v;
    ssize_t n = c->said ? 0 : read(c->verdict, &v, sizeof v);

    if (n == (ssize_t)sizeof v) {
        c->said = true;
        c->can = v.can;
        (void)snprintf(c->text, sizeof c->text, "%.*s", (int)sizeof v.text - 1, v.text);
    }
    return n >= 0;
}

bool
pf_checking_fault(struct pf_checking *c, int wait_status, pf_time timeout,
                  char text[PF_CHECKING_TEXT_BYTES])
{
    bool faulty;

    (void)pf_checking_hear(c);
    faulty = c->too_late || !c->said || !c->can;
    if (c->too_late)
        (void)snprintf(text, PF_CHECKING_TEXT_BYTES,
                       "the new program did not say within %.3g seconds (reload_timeout) "
                       "that it can take over",
                       (double)timeout / (double)PF_SECOND);
    else if (c->said)
        (void)snprintf(text, PF_CHECKING_TEXT_BYTES, "%s", c->text);
    else if (WIFSIGNALED(wait_status))
        (void)snprintf(text, PF_CHECKING_TEXT_BYTES,
                       "the new program was ended by SIG%s before it could take over",
                       pf_signal_name(WTERMSIG(wait_status)));
    else
        (void)snprintf(text, PF_CHECKING_TEXT_BYTES,
                       "the new program ended with status %d before it could take over",
                       WEXITSTATUS(wait_status));
    forget(c);
    return faulty;
}

void
pf_checking_end(struct pf_checking *c)
{
    if (c->child.pid > 0) {
        pf_process_signal(&c->child, SIGKILL);
        pf_process_abandon(&c->child);
    }
    forget(c);
}
