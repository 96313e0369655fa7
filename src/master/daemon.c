/* Leaving the terminal.
 *
 * The process that was started stays until the daemon says that the first worker is ready,
 * or why there will be none, and exits with that: a start script that sees status 0 may
 * rely on it. The word comes on a pipe; a daemon that dies before it closes the pipe.
 *
 * The pid file is libbsd's: locked for as long as the daemon lives, so a stale one, or a
 * number that somebody else has meanwhile, is no obstacle. The lock belongs to the open
 * file, so every worker closes its copy. */
#include "master/daemon.h"

#include "log/log.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bsd/libutil.h>

struct verdict {
    int exit_code;
    char text[PF_ERROR_TEXT_BYTES];
};

static ssize_t
read_verdict(int fd, struct verdict *v)
{
    ssize_t n;

    do
        n = read(fd, v, sizeof *v); /* written by one write, smaller than PIPE_BUF */
    while (n < 0 && errno == EINTR);
    return n;
}

PF_NORETURN static void
wait_for_verdict(int fd)
{
    struct verdict v = {.exit_code = PREFORK_EXIT_SOFTWARE};

    if (read_verdict(fd, &v) != (ssize_t)sizeof v)
        v = (struct verdict){.exit_code = PREFORK_EXIT_SOFTWARE,
                             .text = "the server died while it was starting"};
    v.text[sizeof v.text - 1] = '\0';
    if (v.exit_code != PREFORK_EXIT_OK)
        (void)fprintf(stderr, "%s\n", v.text);
    (void)fflush(NULL);
    _exit(v.exit_code);
}

int
pf_daemon_start(struct pf_daemonized *d, const struct pf_daemon *settings,
                struct pf_error *error)
{
    int ends[2];
    pid_t pid;

    *d = (struct pf_daemonized){.verdict = -1};
    if (!settings->background && !settings->setsid)
        return 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, errno,
                            "cannot go to the background: %s", strerror(errno));
    (void)fflush(NULL);
    pid = fork();
    if (pid < 0)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, errno,
                            "cannot go to the background: %s", strerror(errno));
    if (pid > 0) {
        (void)close(ends[1]);
        wait_for_verdict(ends[0]);
    }
    (void)close(ends[0]);
    d->verdict = ends[1];
    if (settings->setsid)
        (void)setsid(); /* cannot fail: a forked child leads no group */
    else
        (void)setpgid(0, 0);
    return 0;
}

int
pf_daemon_write_pid(struct pf_daemonized *d, const char *path, struct pf_error *error)
{
    pid_t other = 0;

    if (!path)
        return 0;
    d->pid_file = pidfile_open(path, 0644, &other);
    if (!d->pid_file && errno == EEXIST)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, EEXIST,
                            "pid_file %s: the server is running already as process %d",
                            path, (int)other);
    if (!d->pid_file || pidfile_write(d->pid_file) < 0)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, errno,
                            "pid_file %s: %s; is the directory there and writable?", path,
                            strerror(errno));
    return 0;
}

int
pf_daemon_redirect(const struct pf_daemon *settings, struct pf_error *error)
{
    int null_fd;
    int log_fd = pf_log_fd();

    if (!settings->setsid && !(settings->background && settings->log_file))
        return 0;
    null_fd = pf_fd_open_null();
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
        dup2(null_fd, STDOUT_FILENO) < 0 ||
        dup2(settings->log_file ? log_fd : null_fd, STDERR_FILENO) < 0)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, errno,
                            "cannot redirect standard descriptors: %s", strerror(errno));
    (void)close(null_fd);
    return 0;
}

void
pf_daemon_tell(struct pf_daemonized *d, int exit_code, const char *text)
{
    struct verdict v = {.exit_code = exit_code};
    ssize_t n;

    if (d->verdict < 0)
        return;
    (void)snprintf(v.text, sizeof v.text, "%s", text);
    n = write(d->verdict, &v, sizeof v);
    (void)n; /* a starter that was killed meanwhile does not matter any more */
    pf_fd_close(&d->verdict);
}

void
pf_daemon_forget(struct pf_daemonized *d)
{
    pf_fd_close(&d->verdict);
    if (d->pid_file)
        (void)pidfile_close(d->pid_file);
    d->pid_file = NULL;
}

/* Whoever gave up root may not be allowed to remove the file; then it is at least empty. */
void
pf_daemon_finish(struct pf_daemonized *d)
{
    int r;

    if (!d->pid_file)
        return;
    r = ftruncate(pidfile_fileno(d->pid_file), 0);
    (void)r;
    (void)pidfile_remove(d->pid_file);
    d->pid_file = NULL;
}
