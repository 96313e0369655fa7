/* Programs: found, started, waited for.
 *
 * A program is started by vfork(2) and execve(2). posix_spawn(3) does the same, but asks
 * for the disposition of every signal, and tests every descriptor that it is given: eighty
 * system calls, which cost a connection up to a twentieth of all it takes to start the
 * program (docs/notes/0014). What the child does before it becomes the program is a few
 * lines: it has the memory of its parent, who stands still meanwhile. POSIX allows it
 * nothing but execve(2); on Linux it is a process that may do what a signal handler may
 * (vfork(2)), and clang's warnings about that are silenced where it starts. */
#include "os/program.h"

#include "base/text.h"
#include "os/signal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Signals whose disposition a program is not to inherit: those that are caught, because
 * their handlers would run in memory that is not the child's until it becomes the program,
 * and those that this process ignores and did not find ignored. */
struct resets {
    pid_t owner; /* the process that this was found for */
    int count;
    int signums[PF_SIGNAL_LAST];
};

static bool
is_to_be_reset(int signum)
{
    struct sigaction was;

    if (sigaction(signum, NULL, &was) < 0 || was.sa_handler == SIG_DFL)
        return false;
    return was.sa_handler != SIG_IGN || signum == SIGPIPE || signum == SIGXFSZ ||
           pf_signal_is_ignored(signum);
}

static const struct resets *
find_resets(void)
{
    static struct resets resets;

    if (resets.owner == getpid())
        return &resets;
    resets.count = 0;
    for (int signum = 1; signum <= PF_SIGNAL_LAST; signum++) {
        if (is_to_be_reset(signum))
            resets.signums[resets.count++] = signum;
    }
    resets.owner = getpid();
    return &resets;
}

/* The connection may be on that descriptor already, if the server was started without it;
 * then it must not be closed by the exec. */
static bool
place(int fd, int as)
{
    return fd == as ? fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, as) >= 0;
}

/* In the child, which shares all memory with its parent: nothing is changed here that the
 * parent reads, except *ret_errnum. */
PF_NORETURN static void
become_program(const char *path, char *const argv[], char *const envp[], int fd,
               const struct resets *resets, volatile int *ret_errnum)
{
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int i = 0; i < resets->count; i++)
        (void)sigaction(resets->signums[i], &by_default, NULL);
    (void)sigemptyset(&none);
    if (place(fd, STDIN_FILENO) && place(fd, STDOUT_FILENO) &&
        sigprocmask(SIG_SETMASK, &none, NULL) == 0)
        (void)execve(path, argv, envp);
    *ret_errnum = errno;
    _exit(127);
}

/* No handler runs between vfork(2) and the child's reset of it; and the pid is known before
 * one can ask for it. */
int
pf_program_start(const char *path, char *const argv[], char *const envp[], int fd,
                 volatile pid_t *running)
{
    const struct resets *resets = find_resets();
    volatile int errnum = 0;
    sigset_t before;
    sigset_t all;
    pid_t pid;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
    if (pid == 0)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Vfork) */
        become_program(path, argv, envp, fd, resets, &errnum);
    if (pid < 0)
        errnum = errno;
    else if (errnum != 0)
        (void)waitpid(pid, NULL, 0);
    else
        *running = pid;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return -errnum;
}

/* Hold back the signals that end a process; *ret_before is the mask to go back to. */
static void
hold_back_ends(sigset_t *ret_before)
{
    sigset_t ends;

    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGQUIT);
    (void)sigprocmask(SIG_BLOCK, &ends, ret_before);
}

static void
wait_for_end(pid_t pid)
{
    siginfo_t info;

    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        continue;
}

/* The pid is forgotten before it can belong to somebody else. */
int
pf_program_finish(volatile pid_t *running, int *ret_wait_status)
{
    sigset_t before;
    int r;

    wait_for_end(*running);
    hold_back_ends(&before);
    r = waitpid(*running, ret_wait_status, 0) < 0 ? -errno : 0;
    *running = 0;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return r;
}

int
pf_program_run(const char *path, char *const argv[], char *const envp[], int fd,
               volatile pid_t *running, int *ret_wait_status)
{
    int r = pf_program_start(path, argv, envp, fd, running);

    return r < 0 ? r : pf_program_finish(running, ret_wait_status);
}

static int
check_executable(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    return access(path, X_OK) < 0 ? -errno : 0;
}

static int
give(const char *path, char **ret_path)
{
    *ret_path = pf_text_copy(path);
    return *ret_path ? 0 : -ENOMEM;
}

static int
find_in_path(const char *name, char **ret_path)
{
    const char *directories = getenv("PATH");
    int result = -ENOENT;

    if (!directories)
        directories = "/usr/bin:/bin";
    for (const char *d = directories; d; d = strchr(d, ':') ? strchr(d, ':') + 1 : NULL) {
        char path[4096];
        int length = (int)strcspn(d, ":");
        int r;
        if (snprintf(path, sizeof path, "%.*s/%s", length, length ? d : ".", name) >=
            (int)sizeof path)
            continue;
        r = check_executable(path);
        if (r == 0)
            return give(path, ret_path);
        if (r == -EACCES)
            result = r; /* as execvp(3): remembered unless a later one works */
    }
    return result;
}

int
pf_program_find(const char *name, char **ret_path)
{
    int r;

    if (!strchr(name, '/'))
        return find_in_path(name, ret_path);
    r = check_executable(name);
    return r < 0 ? r : give(name, ret_path);
}
