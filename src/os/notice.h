/* Hearing what programs say of themselves by sd_notify(3). */
#ifndef PF_OS_NOTICE_H
#define PF_OS_NOTICE_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    PF_NOTICE_NAME_BYTES = 16, /* "@" and what the kernel chose */
};

struct pf_notice {
    pid_t pid;   /* who said it, by the word of the kernel ... */
    pid_t group; /* ... and the process group it is in; -1: it is gone */
    bool ready;  /* READY=1; the other lines of the protocol mean nothing here */
};

/* A socket that anybody in this network namespace can send to (close-on-exec, never
 * waits), under a name that nobody could take before. Or a negative errno. */
PF_MUST_USE int pf_notice_open(void);

/* What NOTIFY_SOCKET has to be for it. 0 or a negative errno. */
PF_MUST_USE int pf_notice_name(int fd, char name[PF_NOTICE_NAME_BYTES]);

/* The next message. Descriptors that come along are closed unseen. 0 or a negative errno:
 * -EAGAIN, there is none now; -EBADMSG, one that is too long or of nobody was dropped. */
PF_MUST_USE int pf_notice_receive(int fd, struct pf_notice *ret_notice);

/* One of the lines of this message is READY=1. */
bool pf_notice_says_ready(const char *bytes, size_t length);

#endif
