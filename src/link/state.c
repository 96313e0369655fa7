/* The text of a state, by tables.
 *
 * A line is a word and the fields of one struct, in the order of its table below; whoever
 * adds a member adds a row. Words may come in any order, and each as often as there is room
 * for it. The first line says what this is, the last one that nothing is missing.
 *
 *   prefork-state 1
 *   server 1 =echo 4711 3 3 0 0 = 0 1024 ...
 *   fd board 9
 *   listener 7 1 0 0 0 0 0 0 =127.0.0.1:8080
 *   worker 0 0 2 0 0 4712 88112 1 ...
 *   end
 *
 * Here are the tables, and what can be done with a state that is no text; it is written by
 * state_write.c and read by state_read.c. */
#include "link/state.h"

#include "link/state_text.h"
#include "os/memory.h"

#include <string.h>

#define FIELD(type, of, member)                                                            \
    {                                                                                      \
        type, offsetof(struct of, member), sizeof(((struct of *)NULL)->member)             \
    }

static const struct pf_state_field server_fields[] = {
    FIELD(PF_STATE_UNSIGNED, pf_state, kind),
    FIELD(PF_STATE_TEXT, pf_state, name),
    FIELD(PF_STATE_NUMBER, pf_state, pid),
    FIELD(PF_STATE_LONG, pf_state, generation),
    FIELD(PF_STATE_LONG, pf_state, reload),
    FIELD(PF_STATE_LONG, pf_state, stored),
    FIELD(PF_STATE_UNSIGNED, pf_state, wanted),
    FIELD(PF_STATE_TEXT, pf_state, reason),
    FIELD(PF_STATE_LONG, pf_state, mask),
    FIELD(PF_STATE_LONG, pf_state, nofile_soft),
    FIELD(PF_STATE_LONG, pf_state, nofile_hard),
    FIELD(PF_STATE_TIME, pf_state, watchdog),
    FIELD(PF_STATE_FLAG, pf_state, forked),
    FIELD(PF_STATE_TEXT, pf_state, pid_file),
    FIELD(PF_STATE_TEXT, pf_state, score_file),
    FIELD(PF_STATE_LONG, pf_state, score_number),
    FIELD(PF_STATE_UNSIGNED, pf_state, score_used),
    FIELD(PF_STATE_UNSIGNED, pf_state, slots),
    FIELD(PF_STATE_UNSIGNED, pf_state, slot_bytes),
    FIELD(PF_STATE_LONG, pf_state, births),
    FIELD(PF_STATE_LONG, pf_state, outdated_after),
    FIELD(PF_STATE_LONG, pf_state, outdated),
    FIELD(PF_STATE_LONG, pf_state, births_at_failure),
    FIELD(PF_STATE_LONG, pf_state, requests),
    FIELD(PF_STATE_UNSIGNED, pf_state, size),
    FIELD(PF_STATE_UNSIGNED, pf_state, surge),
    FIELD(PF_STATE_UNSIGNED, pf_state, max_servers),
};

static const struct pf_state_field listener_fields[] = {
    FIELD(PF_STATE_NUMBER, pf_state_listener, fd),
    FIELD(PF_STATE_UNSIGNED, pf_state_listener, id),
    FIELD(PF_STATE_UNSIGNED, pf_state_listener, proto),
    FIELD(PF_STATE_UNSIGNED, pf_state_listener, shard),
    FIELD(PF_STATE_FLAG, pf_state_listener, inherited),
    FIELD(PF_STATE_FLAG, pf_state_listener, any_port),
    FIELD(PF_STATE_LONG, pf_state_listener, dev),
    FIELD(PF_STATE_LONG, pf_state_listener, ino),
    FIELD(PF_STATE_TEXT, pf_state_listener, address),
};

static const struct pf_state_field file_fields[] = {
    FIELD(PF_STATE_NUMBER, pf_state_file, fd),
    FIELD(PF_STATE_UNSIGNED, pf_state_file, role),
    FIELD(PF_STATE_TEXT, pf_state_file, path),
};

static const struct pf_state_field waiter_fields[] = {
    FIELD(PF_STATE_NUMBER, pf_state_waiter, fd),
    FIELD(PF_STATE_LONG, pf_state_waiter, number),
};

static const struct pf_state_field worker_fields[] = {
    FIELD(PF_STATE_UNSIGNED, pf_state_worker, slot),
    FIELD(PF_STATE_UNSIGNED, pf_state_worker, kind),
    FIELD(PF_STATE_UNSIGNED, pf_state_worker, life),
    FIELD(PF_STATE_UNSIGNED, pf_state_worker, step),
    FIELD(PF_STATE_UNSIGNED, pf_state_worker, reason),
    FIELD(PF_STATE_NUMBER, pf_state_worker, pid),
    FIELD(PF_STATE_LONG, pf_state_worker, start),
    FIELD(PF_STATE_LONG, pf_state_worker, birth),
    FIELD(PF_STATE_TIME, pf_state_worker, born),
    FIELD(PF_STATE_TIME, pf_state_worker, asked),
    FIELD(PF_STATE_TIME, pf_state_worker, signalled),
    FIELD(PF_STATE_FLAG, pf_state_worker, was_ready),
    FIELD(PF_STATE_FLAG, pf_state_worker, exempt),
    FIELD(PF_STATE_NUMBER, pf_state_worker, channel),
    FIELD(PF_STATE_NUMBER, pf_state_worker, wire),
    FIELD(PF_STATE_NUMBER, pf_state_worker, departures),
    FIELD(PF_STATE_LONG, pf_state_worker, score),
    FIELD(PF_STATE_UNSIGNED, pf_state_worker, log_kind),
    FIELD(PF_STATE_FLAG, pf_state_worker, adopted),
};

#define TABLE(word, fields, member, count, maximum)                                        \
    {                                                                                      \
        word, fields, PF_COUNT(fields), offsetof(struct pf_state, member),                 \
            sizeof(*((struct pf_state *)NULL)->member), offsetof(struct pf_state, count),  \
            maximum                                                                        \
    }

const struct pf_state_word pf_state_words[PF_STATE_WORDS] = {
    {"server", server_fields, PF_COUNT(server_fields), 0, 0, 0, 1},
    TABLE("listener", listener_fields, listeners, listener_count, PF_STATE_LISTENERS_MAX),
    TABLE("file", file_fields, files, file_count, PF_STATE_FILES_MAX),
    TABLE("waiter", waiter_fields, waiters, waiter_count, PF_STATE_WAITERS_MAX),
    [PF_STATE_WORD_WORKER] = TABLE("worker", worker_fields, workers, worker_count, 0),
};

const char *const pf_state_fd_names[PF_STATE_FD_COUNT_OF] = {
    [PF_STATE_FD_BOARD] = "board",     [PF_STATE_FD_HINTS] = "hints",
    [PF_STATE_FD_WAKE] = "wake",       [PF_STATE_FD_PASS] = "pass",
    [PF_STATE_FD_NOTICES] = "notices", [PF_STATE_FD_PID] = "pid",
    [PF_STATE_FD_NOTIFY] = "notify",   [PF_STATE_FD_STORE] = "store",
    [PF_STATE_FD_CONTROL] = "control", [PF_STATE_FD_VERDICT] = "verdict",
    [PF_STATE_FD_SCORE] = "score",     [PF_STATE_FD_PAGES] = "pages",
    [PF_STATE_FD_TICKETS] = "tickets",
};

const char pf_state_heading[] = "prefork-state";

void
pf_state_init(struct pf_state *s)
{
    struct pf_state_worker *workers = s->workers;
    unsigned capacity = s->worker_capacity;

    memset(s, 0, sizeof *s);
    s->workers = workers;
    s->worker_capacity = capacity;
    s->watchdog = PF_NEVER;
    for (unsigned i = 0; i < PF_STATE_FD_COUNT_OF; i++)
        s->fds[i] = -1;
}

void *
pf_state_at(void *base, size_t offset)
{
    return (char *)base + offset;
}

unsigned *
pf_state_count_of(struct pf_state *s, const struct pf_state_word *word)
{
    return pf_state_at(s, word->count);
}

void *
pf_state_table_of(struct pf_state *s, const struct pf_state_word *word)
{
    return word->maximum == 0 ? (void *)s->workers : pf_state_at(s, word->table);
}

void
pf_state_free(struct pf_state *s)
{
    pf_memory_free(s->workers, s->worker_capacity * sizeof *s->workers);
    s->workers = NULL;
    s->worker_count = 0;
    s->worker_capacity = 0;
}

/* ---- descriptors ----------------------------------------------------------------------
 */

static void
each_of_worker(struct pf_state_worker *w, void (*visit)(void *context, int *fd),
               void *context)
{
    visit(context, &w->channel);
    visit(context, &w->wire);
    visit(context, &w->departures);
}

void
pf_state_each_fd(struct pf_state *s, void (*visit)(void *context, int *fd), void *context)
{
    for (unsigned i = 0; i < PF_STATE_FD_COUNT_OF; i++)
        visit(context, &s->fds[i]);
    for (unsigned i = 0; i < s->listener_count; i++)
        visit(context, &s->listeners[i].fd);
    for (unsigned i = 0; i < s->file_count; i++)
        visit(context, &s->files[i].fd);
    for (unsigned i = 0; i < s->waiter_count; i++)
        visit(context, &s->waiters[i].fd);
    for (unsigned i = 0; i < s->worker_count; i++)
        each_of_worker(&s->workers[i], visit, context);
}
