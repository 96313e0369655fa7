/* The worker's own line on the scoreboard.
 *
 * The line is kept here as a whole. On the board all but the label is written when a
 * request begins, so what a stray pointer does to the shared page lasts until the next one;
 * in between only its state is. It goes to the worker's page on the board, and to its page
 * of the scoreboard's file if there is one. It costs some stores for each change and each
 * of these, and no system call: the moment is the one that the board was told. Letters are
 * set by the library for connections, and by the program for its own loop.
 *
 * A program that accepts by itself cannot go on with a line, so it does not begin one: the
 * master writes it (master/publish.c). */
#include "link/score.h"

#include "os/clock.h"
#include "worker/recipe.h"
#include "worker/worker.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int64_t
epoch_time(const struct prefork_worker *w, pf_time now)
{
    return now + w->heritage.seat.epoch;
}

static void
note(struct prefork_worker *w, char state, pf_time now)
{
    w->score.state = (uint8_t)state;
    w->score.updated = epoch_time(w, now);
}

static void
put(struct prefork_worker *w, char state, pf_time now)
{
    note(w, state, now);
    pf_score_write(&w->heritage.seat.slot->score, &w->score);
    if (w->heritage.seat.published)
        pf_score_write(w->heritage.seat.published, &w->score);
}

/* Nothing else has changed. */
void
pf_worker_score_since(struct prefork_worker *w, char state, pf_time now)
{
    note(w, state, now);
    pf_score_write_state(&w->heritage.seat.slot->score, &w->score);
    if (w->heritage.seat.published)
        pf_score_write_state(w->heritage.seat.published, &w->score);
}

void
pf_worker_score_open(struct prefork_worker *w)
{
    pf_time now = pf_clock_now_coarse();

    w->score = (struct pf_score_line){
        .pid = (int32_t)getpid(),
        .listener = PF_SCORE_NO_LISTENER,
        .born = epoch_time(w, now),
    };
    if (w->heritage.recipe->handler != PF_HANDLER_WAIT)
        put(w, PF_SCORE_STARTING, now);
}

void
pf_worker_score(struct prefork_worker *w, char state)
{
    pf_worker_score_since(w, state, pf_clock_now_coarse());
}

static struct pf_score_end
end_of(const struct pf_connection_end *end)
{
    const struct sockaddr *address = (const void *)&end->address;
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;
    struct pf_score_end e = {0};

    if (!end->known || (address->sa_family != AF_INET && address->sa_family != AF_INET6))
        return e;
    e.family = address->sa_family;
    if (e.family == AF_INET) {
        e.port = ntohs(v4->sin_port);
        memcpy(e.address, &v4->sin_addr, sizeof v4->sin_addr);
    } else {
        e.port = ntohs(v6->sin6_port);
        e.scope = v6->sin6_scope_id;
        memcpy(e.address, &v6->sin6_addr, sizeof v6->sin6_addr);
    }
    return e;
}

static void
begin(struct prefork_worker *w, char state, pf_time now)
{
    w->score.requests = w->requests;
    w->score.request = epoch_time(w, now);
    note(w, state, now);
    pf_score_write_request(&w->heritage.seat.slot->score, &w->score);
    if (w->heritage.seat.published) /* whose file may have been cut, and is whole again */
        pf_score_write(w->heritage.seat.published, &w->score);
}

/* Without printf(3), which is much code for a worker that has just been born. */
static void
name_proto(char proto[static PF_SCORE_PROTO_BYTES], const char *name)
{
    size_t length = strnlen(name, PF_SCORE_PROTO_BYTES - 1);

    memset(proto, '\0', PF_SCORE_PROTO_BYTES);
    memcpy(proto, name, length);
}

/* A datagram is read as soon as it is there. */
void
pf_worker_score_connection(struct prefork_worker *w, pf_time now)
{
    const struct prefork_conn *c = &w->conn;
    uint16_t listener = (uint16_t)c->listener->id;

    if (w->score.listener != listener) {
        w->score.listener = listener;
        name_proto(w->score.proto, pf_connection_proto(c));
    }
    w->score.peer = end_of(&c->peer);
    w->score.local = end_of(&c->local);
    begin(w, c->datagram ? PF_SCORE_WRITING : PF_SCORE_READING, now);
}

/* Asked for each piece of output, so it has to be cheap. */
void
pf_worker_score_answer(struct prefork_worker *w)
{
    if (w->score.state == PF_SCORE_READING)
        pf_worker_score(w, PF_SCORE_WRITING);
}

void
pf_worker_score_label(struct prefork_worker *w, const char *label)
{
    (void)snprintf(w->score.label, sizeof w->score.label, "%s", label);
    put(w, (char)w->score.state, pf_clock_now_coarse());
}

void
pf_worker_score_work(struct prefork_worker *w, char state)
{
    pf_time now = pf_clock_now_coarse();
    bool idle = w->score.state == PF_SCORE_IDLE;

    if (!idle && (state != PF_SCORE_READING || w->score.state == PF_SCORE_READING)) {
        put(w, state, now);
        return;
    }
    w->requests++;
    if (idle)
        now = pf_worker_say_busy(w, 1);
    else
        pf_board_say_next(&w->heritage.seat, now);
    begin(w, state, now);
}

/* A connection is over when its handler returned, and a worker is ready when
 * child_init_hook did: not by a letter. A dequeue process has the one that tells it from a
 * worker. */
static bool
may_say(const struct prefork_worker *w, bool idle)
{
    if (w->score.state == PF_SCORE_STARTING || w->heritage.dequeue)
        return false;
    return !(idle && w->conn.fd >= 0);
}

/* What they mean to readers is not busy. */
static bool
is_ours(char state)
{
    return state == PF_SCORE_STARTING || state == PF_SCORE_LEAVING ||
           state == PF_SCORE_DEQUEUE || state == PF_SCORE_UNKNOWN;
}

int
pf_worker_update_score(struct prefork_worker *w, char state)
{
    bool idle = state == PF_SCORE_IDLE || state == '.';

    if (state <= ' ' || state > '~' || is_ours(state))
        return -EINVAL;
    if (!may_say(w, idle))
        return -EBUSY;
    if (idle)
        pf_worker_say_idle(w);
    else if (w->conn.fd >= 0)
        pf_worker_score(w, state);
    else
        pf_worker_score_work(w, state);
    return 0;
}
