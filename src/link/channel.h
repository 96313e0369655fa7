/* The channel: a socket pair between the master and one worker, one message at a time.
 *
 * The whole protocol:
 *
 *   master → worker   PF_MESSAGE_LEAVE        leave as soon as you are between connections
 *   master → worker   PF_MESSAGE_OUTLET       the first outlet (base/outlet.h) has another
 *                                             sink: the descriptor that comes along
 *                                             (errnum: its mark); the next kind is
 *                                             about the next outlet, and so on
 *   master → worker   PF_MESSAGE_SIGNAL       a signal came (errnum: which), where both are
 *                                             one process (master/solo.c)
 *   worker → master   PF_MESSAGE_EXEC_FAILED  the program could not be started (errnum)
 *   worker → master   PF_MESSAGE_INIT_FAILED  child_init_hook refused (errnum: its result)
 *   worker → master   PF_MESSAGE_STOP         the server is to stop (text: why)
 *   worker → master   PF_MESSAGE_LINE         a line for parent_read_hook (text)
 *
 * End of file on the worker's side: the master is gone; leave likewise. End of file on the
 * master's side: the worker ended, or has become another program. Messages are records
 * (SOCK_SEQPACKET) of fixed size, but for a text at the end of those that have one; what
 * has another size or an unknown kind is dropped. */
#ifndef PF_LINK_CHANNEL_H
#define PF_LINK_CHANNEL_H

#include "base/attr.h"
#include "base/outlet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PF_CHANNEL_TEXT_MAX = 1000,
    PF_CHANNEL_TEXT_BYTES = PF_CHANNEL_TEXT_MAX + 1,
};

enum pf_message_kind {
    PF_MESSAGE_LEAVE = 1,
    PF_MESSAGE_EXEC_FAILED,
    PF_MESSAGE_INIT_FAILED,
    PF_MESSAGE_STOP,
    PF_MESSAGE_LINE,
    PF_MESSAGE_SIGNAL,
    PF_MESSAGE_OUTLET, /* one for each outlet, in their order */
    PF_MESSAGE_LAST = PF_MESSAGE_OUTLET + PF_OUTLET_COUNT - 1,
};

struct pf_message {
    uint32_t kind;  /* enum pf_message_kind */
    int32_t errnum; /* positive errno, a hook's result, or a mark (log/outlet.h) */
};

/* Both ends, non-blocking and close-on-exec. 0 or a negative errno. */
PF_MUST_USE int pf_channel_open(int *ret_master_end, int *ret_worker_end);

/* 0 or a negative errno: -EAGAIN when the other side does not read, -EPIPE when gone. */
int pf_channel_send(int fd, enum pf_message_kind kind, int errnum);

/* The same with a descriptor (not consumed) that the other side gets a copy of. Also
 * -ETOOMANYREFS: too many are under way. */
int pf_channel_send_fd(int fd, enum pf_message_kind kind, int errnum, int passed);

/* The same with a text. Also -EMSGSIZE: it is too long. May be called in a signal handler.
 */
int pf_channel_send_text(int fd, enum pf_message_kind kind, const char *text);

/* In the master: 0 and a message; -EAGAIN: none now; -EPIPE: the other end is closed;
 * -EBADMSG: dropped nonsense, ask again. The text is one line of any bytes but '\0' and
 * '\n', or "" of a message that has none. Descriptors that came along are closed. */
PF_MUST_USE int pf_channel_receive_text(int fd, struct pf_message *ret_message,
                                        char text[PF_CHANNEL_TEXT_BYTES]);

/* In a worker: the same for messages without a text, with the descriptor that came along
 * (the caller's, close-on-exec); -1: none did, or there was no room for it. */
PF_MUST_USE int pf_channel_receive_fd(int fd, struct pf_message *ret_message,
                                      int *ret_passed);

/* Nothing more is received here: once what was sent already is read, it is as if the other
 * end were closed, and a wait for this end returns. Sending goes on. May be called in a
 * signal handler. */
void pf_channel_hang_up(int fd);

#endif
