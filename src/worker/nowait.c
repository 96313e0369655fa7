/* A program for each connection, as inetd and tcpserver start it.
 *
 * The worker waits for connections like any other; its handler is a program that gets the
 * connection as descriptors 0 and 1 and keeps the server's standard error. The worker
 * waits for the program's end before it takes the next connection, so a pool of n workers
 * runs at most n programs.
 *
 * The environment is the master's plus the variables below, whose names programs written
 * for tcpserver (UCSPI-TCP, UCSPI-UNIX) and for inetd, xinetd and systemd know. It is built
 * once; per connection only the values change, in place.
 *
 * What cannot be started is a fact about the program, not about the connection: the worker
 * tells the master and ends, and births are slowed down. */
#include "base/text.h"
#include "log/log.h"
#include "os/process.h"
#include "worker/recipe.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    VALUE_BYTES = 288, /* "TCPREMOTEHOST=" and a name, or a path */
};

enum variable {
    PROTO,
    TCPLOCALIP,
    TCPLOCALPORT,
    TCPREMOTEIP,
    TCPREMOTEPORT,
    TCPREMOTEHOST,
    REMOTE_HOST,
    REMOTE_ADDR,
    REMOTE_PORT,
    UNIXLOCALPATH,
    UNIXREMOTEPID,
    UNIXREMOTEEUID,
    UNIXREMOTEEGID,
    VARIABLE_COUNT,
};

static const char *const names[VARIABLE_COUNT] = {
    "PROTO",         "TCPLOCALIP",     "TCPLOCALPORT",   "TCPREMOTEIP", "TCPREMOTEPORT",
    "TCPREMOTEHOST", "REMOTE_HOST",    "REMOTE_ADDR",    "REMOTE_PORT", "UNIXLOCALPATH",
    "UNIXREMOTEPID", "UNIXREMOTEEUID", "UNIXREMOTEEGID",
};

static char values[VARIABLE_COUNT][VALUE_BYTES]; /* "NAME=value" */
static char **environment;                       /* of the program, NULL at its end */
static size_t inherited;                         /* of its entries come from ours */

static bool
is_ours(const char *entry)
{
    for (size_t i = 0; i < VARIABLE_COUNT; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(entry, names[i], length) == 0 && entry[length] == '=')
            return true;
    }
    return pf_text_begins(entry, "TCPLOCALHOST=") ||
           pf_text_begins(entry, "TCPREMOTEINFO=");
}

void
pf_nowait_prepare(struct prefork_worker *w)
{
    size_t count = 0;

    while (environ[count])
        count++;
    environment = calloc(count + VARIABLE_COUNT + 1, sizeof *environment);
    if (!environment)
        pf_worker_fail(w, PF_WORKER_EXIT_SETUP, ENOMEM);
    for (size_t i = 0; i < count; i++) {
        if (!is_ours(environ[i]))
            environment[inherited++] = environ[i];
    }
}

/* Set a variable and append it to the environment that has *count entries. */
static void set(size_t *count, enum variable variable, const char *format, ...)
    PF_PRINTF(3, 4);

static void
set(size_t *count, enum variable variable, const char *format, ...)
{
    char *entry = values[variable];
    int length = snprintf(entry, VALUE_BYTES, "%s=", names[variable]);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(entry + length, (size_t)(VALUE_BYTES - length), format, args);
    va_end(args);
    environment[(*count)++] = entry;
}

static size_t
describe_tcp(struct prefork_conn *c, size_t count)
{
    const char *name = pf_worker_peer_name(c);

    set(&count, PROTO, "TCP");
    set(&count, TCPLOCALIP, "%s", pf_connection_local_host(c));
    set(&count, TCPLOCALPORT, "%u", pf_connection_local_port(c));
    set(&count, TCPREMOTEIP, "%s", pf_connection_peer_host(c));
    set(&count, TCPREMOTEPORT, "%u", pf_connection_peer_port(c));
    if (name[0] != '\0')
        set(&count, TCPREMOTEHOST, "%s", name);
    set(&count, REMOTE_HOST, "%s", name[0] != '\0' ? name : pf_connection_peer_host(c));
    set(&count, REMOTE_ADDR, "%s", pf_connection_peer_host(c));
    set(&count, REMOTE_PORT, "%u", pf_connection_peer_port(c));
    return count;
}

static size_t
describe_unix(struct prefork_conn *c, size_t count)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;

    set(&count, PROTO, "UNIX");
    set(&count, UNIXLOCALPATH, "%s", c->listener->address);
    if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0) {
        set(&count, UNIXREMOTEPID, "%d", (int)peer.pid);
        set(&count, UNIXREMOTEEUID, "%u", (unsigned)peer.uid);
        set(&count, UNIXREMOTEEGID, "%u", (unsigned)peer.gid);
    }
    return count;
}

static void
describe(struct prefork_conn *c)
{
    size_t count =
        pf_connection_is_unix(c) ? describe_unix(c, inherited) : describe_tcp(c, inherited);

    environment[count] = NULL;
}

void
pf_nowait_serve(struct prefork_worker *w)
{
    const struct pf_recipe *recipe = w->heritage.recipe;
    int status;
    int r;

    describe(&w->conn);
    pf_log_catch_up(); /* the program keeps standard error for its life */
    r = pf_process_run(recipe->program, recipe->program_argv, environment, w->conn.fd,
                       &w->program, &status);
    if (w->ending)
        pf_worker_end(w, PF_WORKER_EXIT_DONE);
    if (r < 0) {
        pf_connection_close(&w->conn);
        pf_worker_fail(w, PF_WORKER_EXIT_EXEC, -r);
    }
    if (WIFSIGNALED(status))
        pf_log(PREFORK_LOG_WARNING, "%s was killed by signal %d (%s)", recipe->program,
               WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        pf_log(PREFORK_LOG_INFO, "%s ended with status %d", recipe->program,
               WEXITSTATUS(status));
}
