/* Programs: found, started, waited for.
 *
 * A program is started by posix_spawn(3), and the worker that it runs for waits for it
 * (docs/notes/0004). */
#include "os/program.h"

#include "base/text.h"
#include "os/signal.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool
is_to_be_reset(int signum)
{
    struct sigaction was;

    if (signum == SIGKILL || signum == SIGSTOP || sigaction(signum, NULL, &was) < 0)
        return false;
    return was.sa_handler != SIG_IGN || signum == SIGPIPE || signum == SIGXFSZ ||
           pf_signal_is_ignored(signum);
}

/* All but those that were ignored when this process began to run programs. glibc asks for
 * the disposition of each signal that is not in it, each time: sixty system calls. */
static const sigset_t *
find_reset(void)
{
    static sigset_t reset;
    static pid_t owner;

    if (owner == getpid())
        return &reset;
    (void)sigemptyset(&reset);
    for (int signum = 1; signum <= PF_SIGNAL_LAST; signum++) {
        if (is_to_be_reset(signum))
            (void)sigaddset(&reset, signum);
    }
    owner = getpid();
    return &reset;
}

static int
prepare_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none;
    int errnum = posix_spawnattr_init(attributes);

    if (errnum != 0)
        return -errnum;
    (void)sigemptyset(&none);
    (void)posix_spawnattr_setsigmask(attributes, &none);
    (void)posix_spawnattr_setsigdefault(attributes, find_reset());
    (void)posix_spawnattr_setflags(attributes,
                                   POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return 0;
}

/* posix_spawn(3) of glibc is a vfork: the program's image replaces nothing that was
 * copied, and a failing exec comes back as errno. */
static int
spawn(const char *path, char *const argv[], char *const envp[], int fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int errnum;
    int r = prepare_attributes(&attributes);

    if (r < 0)
        return r;
    errnum = posix_spawn_file_actions_init(&actions);
    if (errnum == 0) {
        errnum = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
        if (errnum == 0)
            errnum = posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
        if (errnum == 0)
            errnum = posix_spawn(ret_pid, path, &actions, &attributes, argv, envp);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)posix_spawnattr_destroy(&attributes);
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

/* The pid is known before a handler can ask for it. */
int
pf_program_start(const char *path, char *const argv[], char *const envp[], int fd,
                 volatile pid_t *running)
{
    sigset_t before;
    pid_t pid = 0;
    int r;

    hold_back_ends(&before);
    r = spawn(path, argv, envp, fd, &pid);
    if (r == 0)
        *running = pid;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return r;
}

/* And it is forgotten before it can belong to somebody else. */
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
