/* The channel: a socket pair between the master and one worker, one message at a time.
 *
 * The whole protocol:
 *
 *   master → worker   PF_MESSAGE_LEAVE        leave as soon as you are between connections
 *   master → worker   PF_MESSAGE_LOG          the log has another sink: the descriptor that
 *                                             comes along (errnum: its mark)
 *   worker → master   PF_MESSAGE_EXEC_FAILED  the program could not be started (errnum)
 *   worker → master   PF_MESSAGE_INIT_FAILED  child_init_hook refused (errnum: its result)
 *   worker → master   PF_MESSAGE_STOP         the program wants the server to stop (text:
 * why) worker → master   PF_MESSAGE_LINE         a line for parent_read_hook (text)
 *
 * End of file on the worker's side: the master is gone; leave likewise. End of file on the
 * master's side: the worker ended, or has become another program. Messages are records
 * (SOCK_SEQPACKET) of fixed size, but for a text at the end of those that have one; what
 * has another size or an unknown kind is dropped. */
#ifndef PF_LINK_CHANNEL_H
#define PF_LINK_CHANNEL_H

#include "base/attr.h"

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
    PF_MESSAGE_LOG,
};

struct pf_message {
    uint32_t kind;  /* enum pf_message_kind */
    int32_t errnum; /* positive errno, a hook's result, or a mark (log/log.h) */
};

/* Both ends, non-blocking and close-on-exec. 0 or a negative errno. */
PF_MUST_USE int pf_channel_open(int *ret_master_end, int *ret_worker_end);

/* 0 or a negative errno: -EAGAIN when the other side does not read, -EPIPE when gone. */
int pf_channel_send(int fd, enum pf_message_kind kind, int errnum);

/* The same with a descriptor (not consumed) that the other side gets a copy of. Also
 * -ETOOMANYREFS: too many are under way. */
int pf_channel_send_fd(int fd, enum pf_message_kind kind, int errnum, int passed);

/* 0 and a message; -EAGAIN: none now; -EPIPE: the other end is closed; -EBADMSG: dropped
 * nonsense, ask again. Descriptors that came along are closed. */
PF_MUST_USE int pf_channel_receive(int fd, struct pf_message *ret_message);

/* The same for messages with a text. Sending: -EMSGSIZE if it is too long; may be called
 * in a signal handler. Receiving takes the others too; the text is "" then, and otherwise
 * one line of any bytes but '\0' and '\n'. */
int pf_channel_send_text(int fd, enum pf_message_kind kind, const char *text);
PF_MUST_USE int pf_channel_receive_text(int fd, struct pf_message *ret_message,
                                        char text[PF_CHANNEL_TEXT_BYTES]);

/* Nothing more is received here: once what was sent already is read, it is as if the other
 * end were closed, and a wait for this end returns. Sending goes on. May be called in a
 * signal handler. */
void pf_channel_hang_up(int fd);
/* The same with the descriptor that came along (the caller's, close-on-exec); -1: none
 * did, or there was no room for it. */
PF_MUST_USE int pf_channel_receive_fd(int fd, struct pf_message *ret_message,
                                      int *ret_passed);

#endif
