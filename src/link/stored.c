/* A name never means anything else: it carries the number of a birth, of a listener, of a
 * state. So nothing that comes back can be taken for something it is not.
 *
 * The keeper knows nothing of states, and has two of these names for itself, and their
 * length: prefork.exe in keeper/keeper.h, prefork.state. in keeper/shelf.h. */
#include "link/stored.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const singles[PF_STATE_FD_COUNT_OF] = {
    [PF_STATE_FD_BOARD] = "prefork.board", [PF_STATE_FD_HINTS] = "prefork.hints",
    [PF_STATE_FD_WAKE] = "prefork.wake",   [PF_STATE_FD_PASS] = "prefork.pass",
    [PF_STATE_FD_PID] = "prefork.pid",     [PF_STATE_FD_SCORE] = "prefork.score",
    [PF_STATE_FD_PAGES] = "prefork.pages", [PF_STATE_FD_NOTICES] = "prefork.notices",
};

const char *
pf_stored_single(enum pf_state_fd which)
{
    return singles[which];
}

const char *
pf_stored_numbered(char name[PF_STORED_NAME_BYTES], const char *kind, uint64_t number)
{
    (void)snprintf(name, PF_STORED_NAME_BYTES, "prefork.%s.%" PRIu64, kind, number);
    return name;
}

bool
pf_stored_number(const char *name, const char *kind, uint64_t *ret_number)
{
    char beginning[PF_STORED_NAME_BYTES];

    (void)snprintf(beginning, sizeof beginning, "prefork.%s.", kind);
    return pf_text_begins(name, beginning) &&
           pf_text_number(name + strlen(beginning), ret_number) == 0;
}

const char *
pf_stored_file(char name[PF_STORED_NAME_BYTES], const struct pf_state_file *file,
               unsigned index)
{
    switch ((enum pf_file_role)file->role) {
    case PF_FILE_EXECUTABLE: return "prefork.exe";
    case PF_FILE_PROGRAM: return "prefork.program";
    case PF_FILE_CONFIG: break;
    }
    return pf_stored_numbered(name, "conf", index);
}

static void
bring_back_worker(struct pf_state_worker *w, int (*find)(void *context, const char *name),
                  void *context)
{
    char name[PF_STORED_NAME_BYTES];

    w->channel = find(context, pf_stored_numbered(name, "w", w->birth));
    w->wire = find(context, pf_stored_numbered(name, "v", w->birth));
    w->departures = find(context, pf_stored_numbered(name, "d", w->birth));
}

void
pf_stored_bring_back(struct pf_state *s, int (*find)(void *context, const char *name),
                     void *context)
{
    char name[PF_STORED_NAME_BYTES];

    for (unsigned i = 0; i < PF_STATE_FD_COUNT_OF; i++)
        s->fds[i] = singles[i] ? find(context, singles[i]) : -1;
    for (unsigned i = 0; i < s->listener_count; i++)
        s->listeners[i].fd =
            find(context, pf_stored_numbered(name, "l", s->listeners[i].id));
    for (unsigned i = 0; i < s->file_count; i++)
        s->files[i].fd = find(context, pf_stored_file(name, &s->files[i], i));
    for (unsigned i = 0; i < s->worker_count; i++)
        bring_back_worker(&s->workers[i], find, context);
    s->waiter_count = 0;
}
