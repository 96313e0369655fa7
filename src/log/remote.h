/* The connection to a syslog daemon. */
#ifndef PF_LOG_REMOTE_H
#define PF_LOG_REMOTE_H

#include "base/attr.h"
#include "log/file.h"
#include "log/target.h"

#include <limits.h>
#include <sys/socket.h>

/* How daemons are found: held by the process that may connect. */
struct pf_remote {
    struct pf_place place; /* of the socket that syslog_path names */
    struct sockaddr_storage address;
    socklen_t address_bytes; /* 0: syslog_host is not needed, or not known */
};

/* Look for what the ways of s need: the directory of its path, the address of its host.
 * What is not found is a way that cannot be connected. May wait for a name server. */
void pf_remote_open(struct pf_remote *r, const struct pf_syslog *s);
void pf_remote_close(struct pf_remote *r);

/* Connect by the first of the ways of s that works. A TCP connection gets this many
 * milliseconds; with 0 one under way is taken as one that works. The descriptor (the
 * caller's, close-on-exec, non-blocking) and which way it is, or the negative errno of the
 * first way. The working directory changes for a moment. */
PF_MUST_USE int pf_remote_connect(struct pf_remote *r, const struct pf_syslog *s,
                                  int milliseconds, enum pf_syslog_way *ret_way);

enum {
    PF_REMOTE_E_EARLIER = 1, /* sent; but a line before it was refused */
};

/* Send one line. 0, PF_REMOTE_E_EARLIER, -EAGAIN (dropped: no room), or -EPIPE: dropped,
 * and there is no use in trying again on this descriptor. Never waits. */
int pf_remote_send(enum pf_syslog_way way, int fd, const char *line, size_t bytes);

/* The console, for writing lines that never wait, or a negative errno. */
PF_MUST_USE int pf_console_open(void);

#endif
