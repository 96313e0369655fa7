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
#include "log/outlet.h"
#include "net/tls.h"
#include "os/program.h"
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
    VALUE_BYTES = 512, /* a variable with a name, a path, or a subject */
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
    SSLLOCALIP,
    SSLLOCALPORT,
    SSLREMOTEIP,
    SSLREMOTEPORT,
    SSL_PROTOCOL,
    SSL_CIPHER,
    SSL_TLS_SNI,
    SSL_CLIENT_VERIFY,
    SSL_CLIENT_S_DN,
    UNIXLOCALPATH,
    UNIXREMOTEPID,
    UNIXREMOTEEUID,
    UNIXREMOTEEGID,
    VARIABLE_COUNT,
};

static const char *const names[VARIABLE_COUNT] = {
    "PROTO",          "TCPLOCALIP",        "TCPLOCALPORT",
    "TCPREMOTEIP",    "TCPREMOTEPORT",     "TCPREMOTEHOST",
    "REMOTE_HOST",    "REMOTE_ADDR",       "REMOTE_PORT",
    "SSLLOCALIP",     "SSLLOCALPORT",      "SSLREMOTEIP",
    "SSLREMOTEPORT",  "SSL_PROTOCOL",      "SSL_CIPHER",
    "SSL_TLS_SNI",    "SSL_CLIENT_VERIFY", "SSL_CLIENT_S_DN",
    "UNIXLOCALPATH",  "UNIXREMOTEPID",     "UNIXREMOTEEUID",
    "UNIXREMOTEEGID",
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
    free(environment); /* of an earlier server in this process */
    inherited = 0;
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

    set(&count, PROTO, c->tls ? "SSL" : "TCP");
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

/* A text of the client's certificate or handshake, if there is one. Half a name would be
 * another name: what does not fit is left out. */
static void
set_text(size_t *count, enum variable variable, const char *text)
{
    if (text[0] != '\0' && strlen(names[variable]) + 1 + strlen(text) < VALUE_BYTES)
        set(count, variable, "%s", text);
}

/* As UCSPI-SSL has it, with the variables of its options -e and -s. */
static size_t
describe_tls(struct prefork_conn *c, size_t count)
{
    count = describe_tcp(c, count);
    set(&count, SSLLOCALIP, "%s", pf_connection_local_host(c));
    set(&count, SSLLOCALPORT, "%u", pf_connection_local_port(c));
    set(&count, SSLREMOTEIP, "%s", pf_connection_peer_host(c));
    set(&count, SSLREMOTEPORT, "%u", pf_connection_peer_port(c));
    set_text(&count, SSL_PROTOCOL, pf_tls_fact(c, PF_TLS_FACT_VERSION));
    set_text(&count, SSL_CIPHER, pf_tls_fact(c, PF_TLS_FACT_CIPHER));
    set_text(&count, SSL_TLS_SNI, pf_tls_fact(c, PF_TLS_FACT_SERVER_NAME));
    set_text(&count, SSL_CLIENT_S_DN, pf_tls_fact(c, PF_TLS_FACT_SUBJECT));
    set(&count, SSL_CLIENT_VERIFY, "%s", pf_tls_is_verified(c) ? "SUCCESS" : "NONE");
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
    size_t count;

    if (pf_connection_is_unix(c))
        count = describe_unix(c, inherited);
    else if (c->tls)
        count = describe_tls(c, inherited);
    else
        count = describe_tcp(c, inherited);
    environment[count] = NULL;
}

static int
run(struct prefork_worker *w, int *ret_wait_status)
{
    const struct pf_recipe *recipe = w->heritage.recipe;

    if (w->conn.tls)
        return pf_relay_run(w, environment, ret_wait_status);
    return pf_program_run(recipe->program, recipe->program_argv, environment, w->conn.fd,
                          &w->program, ret_wait_status);
}

static void
note_end(struct pf_account *a, int result, int wait_status)
{
    if (result < 0)
        a->outcome = PF_OUTCOME_FAILED;
    a->has_status = result == 0;
    a->wait_status = wait_status;
}

void
pf_nowait_serve(struct prefork_worker *w)
{
    const struct pf_recipe *recipe = w->heritage.recipe;
    int status = 0;
    int r;

    describe(&w->conn);
    pf_worker_score(w, PF_SCORE_WRITING);
    pf_outlet_catch_up(PF_OUTLET_LOG); /* the program keeps standard error for its life */
    r = run(w, &status);
    note_end(&w->account, r, status);
    if (w->ending) {
        pf_account_close(w);
        pf_worker_end(w, PF_WORKER_EXIT_DONE);
    }
    if (r < 0) {
        pf_account_close(w);
        pf_worker_fail(w, PF_WORKER_EXIT_EXEC, -r);
    }
    if (WIFSIGNALED(status))
        pf_log(PREFORK_LOG_WARNING, "%s was killed by signal %d (%s)", recipe->program,
               WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        pf_log(PREFORK_LOG_INFO, "%s ended with status %d", recipe->program,
               WEXITSTATUS(status));
}
