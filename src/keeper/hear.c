/* What the master says (word.h), as a service manager would hear it.
 *
 * Things to hold go to the shelf, but for the log, which goes to where lines go out.
 * READY=1 is the moment at which the keeper becomes who the server runs as; before that the
 * master may be somebody that only root may signal. STOPPING=1 makes the next end of the
 * master the end of all. */
#include "base/text.h"
#include "keeper/loop.h"
#include "keeper/word.h"
#include "log/log.h"
#include "log/outlet.h"
#include "os/fd.h"
#include "os/notify.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    MESSAGE_BYTES = 1024,
};

static void
store(struct pf_keeper *k, const char *name, int fd)
{
    int r = pf_shelf_put(&k->shelf, name, fd);

    if (r < 0 && !k->told_refusal)
        pf_log(PREFORK_LOG_WARNING,
               "cannot keep %s: %s; a next master will have to do without%s", name,
               strerror(-r),
               r == -ENOSPC ? " (the limit on open descriptors decides how many)" : "");
    k->told_refusal = r < 0;
}

/* Either a thing to keep, or where lines go. */
static void
take_fd(struct pf_keeper *k, const struct pf_word *word, int fd)
{
    static const char log[] = PF_KEEPER_LOG;

    if (!word->store)
        pf_fd_close(&fd);
    else if (pf_text_begins(word->name, log))
        pf_outlet_take(PF_OUTLET_LOG, fd,
                       (uint32_t)strtoul(word->name + sizeof log - 1, NULL, 10));
    else
        store(k, word->name, fd);
}

/* The last moment at which the rights of whoever started the server are needed is over. A
 * server whose keeper cannot give them up must not go on. */
static void
settle(struct pf_keeper *k)
{
    struct pf_error error = {0};

    if (k->served || k->setup.settle(k->setup.context, &error) == 0)
        return;
    pf_log(PREFORK_LOG_ERROR, "keeper: %s", error.text);
    k->asked = true;
    pf_keeper_pass_on(k, SIGTERM);
}

static void
take_word(struct pf_keeper *k, const struct pf_word *word)
{
    if (word->errnum != 0)
        pf_log(PREFORK_LOG_ERROR, "cannot execute another master: %s",
               strerror(word->errnum));
    if (word->stopping)
        k->stopping = true;
    if (word->remove)
        pf_shelf_remove(&k->shelf, word->name);
    if (!word->ready || k->ready)
        return;
    k->ready = true;
    settle(k);
    k->served = true;
    pf_keeper_pass_on_held(k);
}

/* All there is. At its end nobody is there to say more; that the master ended is told by
 * its pidfd. */
void
pf_keeper_hear(struct pf_keeper *k)
{
    int fds[PF_NOTIFY_FDS_MAX];
    char text[MESSAGE_BYTES];
    unsigned count;
    int r;

    while (k->socket >= 0) {
        struct pf_word word;
        r = pf_notify_receive(k->socket, text, sizeof text, fds, &count);
        if (r == -EAGAIN)
            return;
        if (r < 0) {
            pf_wait_remove(&k->wait, k->socket);
            pf_fd_close(&k->socket);
            return;
        }
        pf_word_read(text, &word);
        for (unsigned i = 0; i < count; i++)
            take_fd(k, &word, fds[i]);
        take_word(k, &word);
    }
}
