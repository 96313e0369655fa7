/* The public calls about a connection and its worker: names onto net/ and worker/. */
#include "log/access_log.h"
#include "log/log.h"
#include "master/master.h"
#include "net/connection.h"
#include "net/tls.h"
#include "os/clock.h"
#include "worker/recipe.h"
#include "worker/worker.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>

ssize_t
prefork_read(struct prefork_conn *c, void *buffer, size_t size)
{
    return pf_connection_read(c, buffer, size);
}

ssize_t
prefork_gets(struct prefork_conn *c, char *buffer, size_t size)
{
    return pf_connection_gets(c, buffer, size);
}

int
prefork_write(struct prefork_conn *c, const void *bytes, size_t size)
{
    pf_worker_score_answer(c->worker);
    return pf_connection_write(c, bytes, size);
}

int
prefork_vprintf(struct prefork_conn *c, const char *format, va_list args)
{
    pf_worker_score_answer(c->worker);
    return pf_connection_vprintf(c, format, args);
}

int
prefork_printf(struct prefork_conn *c, const char *format, ...)
{
    va_list args;
    int r;

    va_start(args, format);
    r = prefork_vprintf(c, format, args);
    va_end(args);
    return r;
}

const void *
prefork_datagram(const struct prefork_conn *c, size_t *ret_size)
{
    return pf_connection_datagram(c, ret_size);
}

size_t
prefork_datagram_cut(const struct prefork_conn *c)
{
    return pf_connection_datagram_cut(c);
}

int
prefork_fd(const struct prefork_conn *c)
{
    return c->fd;
}

const char *
prefork_peer_text(struct prefork_conn *c)
{
    return pf_connection_peer_text(c);
}

const char *
prefork_local_text(struct prefork_conn *c)
{
    return pf_connection_local_text(c);
}

const char *
prefork_peer_address(struct prefork_conn *c)
{
    return pf_connection_peer_host(c);
}

const char *
prefork_local_address(struct prefork_conn *c)
{
    return pf_connection_local_host(c);
}

const char *
prefork_peer_name(struct prefork_conn *c)
{
    return pf_worker_peer_name(c);
}

unsigned
prefork_peer_port(struct prefork_conn *c)
{
    return pf_connection_peer_port(c);
}

unsigned
prefork_local_port(struct prefork_conn *c)
{
    return pf_connection_local_port(c);
}

const char *
prefork_proto(const struct prefork_conn *c)
{
    return pf_connection_proto(c);
}

const char *
prefork_tls_version(struct prefork_conn *c)
{
    return pf_tls_fact(c, PF_TLS_FACT_VERSION);
}

const char *
prefork_tls_cipher(struct prefork_conn *c)
{
    return pf_tls_fact(c, PF_TLS_FACT_CIPHER);
}

const char *
prefork_tls_server_name(struct prefork_conn *c)
{
    return pf_tls_fact(c, PF_TLS_FACT_SERVER_NAME);
}

const char *
prefork_tls_alpn(struct prefork_conn *c)
{
    return pf_tls_fact(c, PF_TLS_FACT_ALPN);
}

const char *
prefork_tls_peer_subject(struct prefork_conn *c)
{
    return pf_tls_fact(c, PF_TLS_FACT_SUBJECT);
}

bool
prefork_tls_peer_verified(struct prefork_conn *c)
{
    return pf_tls_is_verified(c);
}

bool
prefork_tls_resumed(struct prefork_conn *c)
{
    return pf_tls_is_resumed(c);
}

struct prefork_worker *
prefork_conn_worker(struct prefork_conn *c)
{
    return c->worker;
}

unsigned long
prefork_requests(const struct prefork_worker *w)
{
    return w->requests;
}

enum prefork_kind
prefork_kind(const struct prefork_worker *w)
{
    return w->heritage.dequeue ? PREFORK_KIND_DEQUEUE : PREFORK_KIND_WORKER;
}

bool
prefork_stopping(struct prefork_worker *w)
{
    return pf_worker_is_asked(w);
}

/* So long from now, or forever. */
static pf_time
moment_after(double seconds)
{
    if (seconds < 0 || seconds > 1e12)
        return PF_NEVER;
    return pf_clock_now() + (pf_time)(seconds * PF_SECOND);
}

/* Not everything that comes on the channel is a request to leave. */
int
prefork_wait(struct prefork_worker *w, int fd, double seconds)
{
    struct pollfd fds[] = {
        {.fd = w->heritage.channel, .events = POLLIN},
        {.fd = fd, .events = POLLIN},
    };
    pf_time end = moment_after(seconds);
    int timeout;
    int n;

    do {
        if (pf_worker_is_asked(w))
            return -ECANCELED;
        timeout = pf_clock_milliseconds_until(end);
        n = poll(fds, 2, timeout);
    } while (n < 0 ? errno == EINTR : n > 0 ? fds[1].revents == 0 : timeout == INT_MAX);
    if (n < 0)
        return -errno;
    if (fds[0].revents != 0 && pf_worker_is_asked(w))
        return -ECANCELED;
    return n > 0;
}

void
prefork_busy(struct prefork_worker *w)
{
    if (w->score.state == PF_SCORE_IDLE)
        pf_worker_score_work(w, PF_SCORE_WRITING);
}

void
prefork_idle(struct prefork_worker *w)
{
    pf_worker_say_idle(w);
}

int
prefork_update_scoreboard(struct prefork_worker *w, char state)
{
    return pf_worker_update_score(w, state);
}

void
prefork_set_label(struct prefork_worker *w, const char *format, ...)
{
    char label[256];
    va_list args;

    if (format) {
        va_start(args, format);
        (void)vsnprintf(label, sizeof label, format, args);
        va_end(args);
    }
    if (!w)
        w = pf_worker_here();
    if (w)
        pf_worker_label(w, format ? label : NULL);
    else
        pf_master_label(format ? label : NULL);
}

void
prefork_log(enum prefork_log_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    pf_log_v(level, format, args);
    va_end(args);
}

int
prefork_access_log(const char *format, ...)
{
    int errnum = errno;
    va_list args;
    int r;

    va_start(args, format);
    r = pf_access_log_v(format, args);
    va_end(args);
    errno = errnum;
    return r;
}
