/* Requests to a running master from outside, and its answers.
 *
 * A master listens on an abstract unix socket (unix(7)) that is named after its process id:
 * no file is left behind, and neither another root directory nor another user is in the
 * way. One record is one request or one answer. The protocol, as seen by a client:
 *
 *   → RELOAD or RESTART_WORKERS
 *   ← REFUSED (why), or ACCEPTED; who does not wait is done here
 *   ← DONE, FAILED or STOPPING, with a sentence, whenever that is
 *
 * An abstract name can be taken by anybody, and anybody can connect: each side has to ask
 * the kernel who the other one is (pf_request_peer()). */
#ifndef PF_LINK_REQUEST_H
#define PF_LINK_REQUEST_H

#include "base/attr.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    PF_REQUEST_VERSION = 1,
    PF_REQUEST_TEXT_BYTES = 512, /* of the sentence of an answer, with its end */
};

#define PF_REQUEST_MAGIC UINT32_C(0x70666b72) /* "pfkr" */

enum pf_request_kind {
    PF_REQUEST_RELOAD = 1,
    PF_REQUEST_RESTART_WORKERS,
    PF_REQUEST_LAST = PF_REQUEST_RESTART_WORKERS,
};

enum pf_answer_kind {
    PF_ANSWER_ACCEPTED = 1, /* number: what was asked for is this one */
    PF_ANSWER_REFUSED,      /* it will not be done */
    PF_ANSWER_DONE,
    PF_ANSWER_FAILED,   /* what ran before goes on */
    PF_ANSWER_STOPPING, /* the server ends, and it will not be known how it would have gone
                         */
    PF_ANSWER_LAST = PF_ANSWER_STOPPING,
};

/* Both begin alike, so that each side can tell another version from nonsense. */
struct pf_request {
    uint32_t magic;
    uint16_t version;
    uint16_t kind; /* enum pf_request_kind */
    uint32_t wait; /* 1: the end is to be told too; 0: it is not */
    uint32_t zero;
};

struct pf_answer {
    uint32_t magic;
    uint16_t version;
    uint16_t kind;                    /* enum pf_answer_kind */
    uint64_t number;                  /* of the reload or restart, from 1; 0: none */
    char text[PF_REQUEST_TEXT_BYTES]; /* one line, terminated */
};

/* A record as it came, any bytes: 0 and its copy; -EPROTONOSUPPORT (another version) or
 * -EBADMSG (anything else). */
PF_MUST_USE int pf_request_parse(const void *bytes, size_t size,
                                 struct pf_request *ret_request);
PF_MUST_USE int pf_answer_parse(const void *bytes, size_t size,
                                struct pf_answer *ret_answer);

/* Fill one in. A text that is too long is cut; control characters in it become blanks. */
void pf_answer_make(struct pf_answer *answer, enum pf_answer_kind kind, uint64_t number,
                    const char *text);

/* The socket of the master with this pid: listening, non-blocking, close-on-exec; or a
 * negative errno: -EADDRINUSE, somebody has its name. */
PF_MUST_USE int pf_request_listen(pid_t master);

/* This is such a socket, and has the name of this master. */
PF_MUST_USE bool pf_request_is_listener(int fd, pid_t master);

/* The next client, non-blocking and close-on-exec; -EAGAIN: none; or a negative errno. One
 * that has gone before is not an error: it is skipped. */
PF_MUST_USE int pf_request_accept(int listener);

/* Connect to the socket of this master, close-on-exec, waiting until the deadline if its
 * queue is full: a descriptor, or a negative errno: -ECONNREFUSED, nobody listens;
 * -ETIMEDOUT. */
PF_MUST_USE int pf_request_connect(pid_t master, pf_time deadline);

/* Who has listened, or connected, there: 0 or a negative errno. *ret_pid is 0 if he cannot
 * be seen from here; -ESRCH: he is known to be gone (not every kernel knows). */
PF_MUST_USE int pf_request_peer(int fd, pid_t *ret_pid, uid_t *ret_uid);

/* Send one. 0 or a negative errno; -EPIPE: the other side has closed, or reads no more. */
int pf_request_send(int fd, enum pf_request_kind kind, bool wait);
int pf_answer_send(int fd, const struct pf_answer *answer);

/* In the master: what came. As pf_request_parse(), or -EAGAIN: nothing yet; -EPIPE: the
 * other side has closed. */
PF_MUST_USE int pf_request_receive(int fd, struct pf_request *ret_request);

/* In a client: wait for what comes. As pf_answer_parse(), or -ETIMEDOUT, -EPIPE. */
PF_MUST_USE int pf_answer_receive(int fd, pf_time deadline, struct pf_answer *ret_answer);

/* In the master: say a last word (NULL: none) and close. What the client said and nobody
 * read does not keep the word from it. */
void pf_request_dismiss(int *fd, const struct pf_answer *answer);

#endif
