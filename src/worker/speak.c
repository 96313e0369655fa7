/* What a worker says to the master on the program's behalf.
 *
 * A message goes on the channel and is announced on the worker's page, with a ring of the
 * bell: the master does not watch channels (master/spawn.c). Everything here may be called
 * in a signal handler, so nothing is formatted and nothing waits.
 *
 * A request to stop must not be lost because the channel is full of lines: then the page
 * says it, without the reason. */
#include "link/channel.h"
#include "worker/recipe.h"
#include "worker/worker.h"

#include <errno.h>
#include <string.h>

int
pf_worker_tell(struct prefork_worker *w, const char *line)
{
    int r = pf_channel_send_text(w->heritage.channel, PF_MESSAGE_LINE, line);

    if (r == 0)
        pf_board_say_spoke(&w->heritage.seat);
    return r;
}

/* As a message can carry it: one line, not too long. */
static void
copy_line(char line[PF_CHANNEL_TEXT_BYTES], const char *text)
{
    size_t i;

    for (i = 0; i < PF_CHANNEL_TEXT_MAX && text[i] != '\0'; i++)
        line[i] = (char)(text[i] == '\n' ? ' ' : text[i]);
    line[i] = '\0';
}

void
pf_worker_stop_server(struct prefork_worker *w, const char *reason)
{
    char line[PF_CHANNEL_TEXT_BYTES];

    if (w->heritage.recipe->no_close_by_child) {
        pf_worker_leave(w);
        return;
    }
    copy_line(line, reason);
    if (pf_channel_send_text(w->heritage.channel, PF_MESSAGE_STOP, line) == 0)
        pf_board_say_spoke(&w->heritage.seat);
    else
        pf_board_say_wants_stop(&w->heritage.seat);
}

/* Its own end is closed for reading, as if the master had hung up: the wait for the next
 * connection sees it, however close to it this is called. */
void
pf_worker_leave(struct prefork_worker *w)
{
    pf_channel_hang_up(w->heritage.channel);
}

void
pf_worker_leave_by_signal(int signum)
{
    int errnum = errno;

    (void)signum;
    pf_worker_leave(pf_worker_here());
    errno = errnum;
}
