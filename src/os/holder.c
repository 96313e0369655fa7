/* Sockets and processes by /proc.
 *
 * A descriptor that is a socket is a link to "socket:[INODE]". What cannot be read (another
 * user's process, a system with hidepid, a process that has just ended) is an error for the
 * caller to live with. Both walks are bounded: other people's processes and descriptors are
 * not to decide how long this takes. */
#include "os/holder.h"

#include "base/text.h"
#include "os/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    DESCRIPTORS_MAX = 4096,
    PROCESSES_MAX = 32768,
};

static bool
read_inode(int directory, const char *name, uint64_t *ret_inode)
{
    static const char prefix[] = "socket:[";
    char link[64];
    ssize_t n = readlinkat(directory, name, link, sizeof link - 1);

    if (n < 0)
        return false;
    link[n] = '\0';
    if (!pf_text_begins(link, prefix))
        return false;
    *ret_inode = strtoull(link + sizeof prefix - 1, NULL, 10);
    return true;
}

int
pf_holder_sockets(pid_t pid, bool (*found)(void *context, uint64_t inode), void *context)
{
    char path[32];
    DIR *directory;
    const struct dirent *entry;
    uint64_t inode;

    (void)snprintf(path, sizeof path, "%d/fd", (int)pid);
    directory = pf_process_open_proc(path);
    if (!directory)
        return -errno;
    for (unsigned n = 0; n < DESCRIPTORS_MAX && (entry = readdir(directory)); n++) {
        if (read_inode(dirfd(directory), entry->d_name, &inode) && !found(context, inode))
            break;
    }
    (void)closedir(directory);
    return 0;
}

void
pf_holder_processes(bool (*member)(void *context, pid_t pid, pid_t group), void *context)
{
    DIR *directory = pf_process_open_proc(".");
    const struct dirent *entry;
    bool more = true;

    if (!directory)
        return;
    for (unsigned n = 0; more && n < PROCESSES_MAX && (entry = readdir(directory)); n++) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (isdigit((unsigned char)entry->d_name[0]))
            more = member(context, pid, getpgid(pid));
    }
    (void)closedir(directory);
}
