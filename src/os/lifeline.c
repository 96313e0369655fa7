/* A way back out of a crash.
 *
 * Everything is put together while the process is well; what runs after a fault makes
 * system calls only, on a stack of its own, because memory, locks and the stack that it was
 * on may be what is broken. The one text that is not known before, the cause, is two digits
 * in a string that is there.
 *
 * The signals are not blocked while their handler runs: the next program would have them
 * blocked. A second fault, in the handler, ends the process as the first would have. */
#include "os/lifeline.h"

#include "base/attr.h"
#include "os/alarm.h"
#include "os/capability.h"
#include "os/fd.h"
#include "os/signal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    VARIABLE_BYTES = 64,
    STACK_BYTES = 64 * 1024,
    DEADLINE = SIGVTALRM, /* of which nobody else has one */
};

static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, DEADLINE};

static struct {
    pid_t owner; /* 0: it is closed */
    struct pf_lifeline way;
    int *others;
    char **environment;
    char variable[VARIABLE_BYTES];
    char *cause; /* two digits at its end */
    struct pf_alarm alarm;
    struct sigaction before[PF_COUNT(faults)];
    stack_t stack_before;
} here;

static char stack[STACK_BYTES];

/* ---- when it happens: nothing here but system calls ------------------------------------
 */

static void
go(int cause)
{
    const struct pf_image *image = here.way.image;

    here.owner = 0; /* once */
    here.cause[0] = (char)('0' + cause / 10);
    here.cause[1] = (char)('0' + cause % 10);
    (void)pf_fd_set_cloexec(here.way.fd, false);
    for (unsigned i = 0; i < here.way.count; i++)
        (void)pf_fd_set_cloexec(here.others[i], false);
    if (image->directory >= 0)
        (void)fchdir(image->directory);
    (void)umask(image->umask);
    (void)pf_capability_pass_on(true);
    pf_signal_hand_over();
    (void)execveat(here.way.exe, "", image->argv, here.environment, AT_EMPTY_PATH);
}

static void catch (int signum)
{
    if (here.owner == getpid())
        go(signum == DEADLINE ? PF_LIFELINE_LATE : signum);
    (void)signal(signum, SIG_DFL);
    (void)raise(signum);
}

static void
catch_exit(void)
{
    if (here.owner == getpid())
        go(PF_LIFELINE_EXIT);
}

/* ---- before and after ------------------------------------------------------------------
 */

/* The environment with this variable, in place of one of this name. */
static char **
extend_environment(const char *name)
{
    size_t length = strlen(name);
    size_t count = 0;
    char **copy;

    while (environ[count])
        count++;
    copy = calloc(count + 2, sizeof *copy);
    if (!copy)
        return NULL;
    count = 0;
    for (char **e = environ; *e; e++) {
        if (strncmp(*e, name, length) != 0 || (*e)[length] != '=')
            copy[count++] = *e;
    }
    copy[count] = here.variable;
    return copy;
}

static int
prepare(const struct pf_lifeline *l)
{
    int length = snprintf(here.variable, sizeof here.variable, "%s=%d:00", l->name, l->fd);

    if (length < 0 || (size_t)length >= sizeof here.variable)
        return -ENAMETOOLONG;
    here.cause = here.variable + length - 2;
    here.way = *l;
    here.others = calloc(l->count + 1, sizeof *here.others);
    here.environment = extend_environment(l->name);
    if (!here.others || !here.environment)
        return -ENOMEM;
    memcpy(here.others, l->others, l->count * sizeof *here.others);
    return 0;
}

static void
forget(void)
{
    free(here.others);
    free(here.environment);
    here.others = NULL;
    here.environment = NULL;
}

static void
set_handlers(void)
{
    const stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = catch, .sa_flags = SA_ONSTACK | SA_NODEFER};

    (void)sigaltstack(&own, &here.stack_before);
    for (unsigned i = 0; i < PF_COUNT(faults); i++)
        (void)sigaction(faults[i], &action, &here.before[i]); /* they can be caught */
}

int
pf_lifeline_open(const struct pf_lifeline *l)
{
    static bool hears_exit;
    int r = prepare(l);

    if (r < 0) {
        forget();
        return r;
    }
    if (!hears_exit)
        hears_exit = atexit(catch_exit) == 0;
    set_handlers();
    here.owner = getpid();
    return 0;
}

void
pf_lifeline_limit(pf_time deadline)
{
    if (here.owner == 0 || here.alarm.is_open || pf_alarm_open(&here.alarm, DEADLINE) < 0)
        return;
    pf_alarm_set(&here.alarm, deadline);
}

void
pf_lifeline_close(void)
{
    if (here.owner == 0)
        return;
    here.owner = 0;
    pf_alarm_close(&here.alarm);
    for (unsigned i = 0; i < PF_COUNT(faults); i++)
        (void)sigaction(faults[i], &here.before[i], NULL);
    (void)sigaltstack(&here.stack_before, NULL);
    pf_fd_close(&here.way.fd);
    forget();
}
