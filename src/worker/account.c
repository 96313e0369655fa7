/* The account of a connection: its line in the access log.
 *
 * It is written when the connection is closed, so that it says how long it lasted, and only
 * if the program wrote no line of its own meanwhile: a program that has a format writes it,
 * and for one that has none there is still one line for each client.
 *
 * What the line says of the connection has to be asked for while it is open. The kernel is
 * asked for the local address only where that can differ from one connection to the next.
 * Without an access log nothing is asked and no clock is read. */
#include "log/access_log.h"
#include "log/visit.h"
#include "net/listener.h"
#include "os/clock.h"
#include "worker/worker.h"

#include <time.h>
#include <unistd.h>

enum {
    LINE_BYTES = 2048, /* two addresses of which each byte became four, and the rest */
};

void
pf_account_begin(struct prefork_worker *w)
{
    w->account = (struct pf_account){.outcome = PF_OUTCOME_SERVED};
    if (!pf_access_log_is_open())
        return;
    if (w->pid == 0)
        w->pid = getpid();
    w->account.begin = pf_clock_now();
    pf_access_log_begin();
}

static void
write_line(const struct pf_visit *visit)
{
    char line[LINE_BYTES];
    struct pf_text t;

    pf_text_init(&t, line, sizeof line);
    pf_visit_add(&t, visit);
    (void)pf_access_log_write(t.bytes); /* what is lost is counted there */
}

static const char *
local_text(struct prefork_conn *c)
{
    return c->listener->wildcard ? pf_connection_local_text(c) : c->listener->address;
}

void
pf_account_close(struct prefork_worker *w)
{
    const struct pf_account *a = &w->account;
    struct prefork_conn *c = &w->conn;
    struct pf_visit visit = {
        .outcome = a->outcome, .has_status = a->has_status, .wait_status = a->wait_status};
    bool wanted = pf_access_log_is_open() && !pf_access_log_was_used();

    if (wanted) {
        visit.pid = w->pid;
        visit.proto = pf_connection_proto(c);
        visit.peer = pf_connection_peer_text(c);
        visit.local = local_text(c);
    }
    pf_connection_close(c);
    if (wanted) {
        visit.duration = pf_clock_now() - a->begin;
        (void)clock_gettime(CLOCK_REALTIME, &visit.time);
        write_line(&visit);
    }
}
