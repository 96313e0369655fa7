/* Files that are given to another user.
 *
 * A server that starts as root makes files and then becomes somebody else, who has to go on
 * with them: reopen the log, empty the pid file. Giving files away as root is dangerous
 * where others may write to the directory: a link put there in time names a file that root
 * never meant. So a file is looked at through a descriptor first, and only what has one
 * name, and no link before it, is given; then it is given through that descriptor.
 *
 * What belongs to the new owner already is left alone, so nobody needs a right for it. */
#include "os/handover.h"

#include "os/fd.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
refuse(const char *key, const char *path, int errnum, const char *why,
       struct pf_error *error)
{
    return pf_error_set(error, PREFORK_EXIT_SYSTEM, errnum,
                        "%s %s: cannot be handed over: %s", key, path, why);
}

static int
give(const char *key, const char *path, int fd, const struct stat *st, uid_t uid, gid_t gid,
     struct pf_error *error)
{
    if (st->st_uid == uid && st->st_gid == gid)
        return 0;
    if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
        return refuse(key, path, errno, strerror(errno), error);
    return 0;
}

int
pf_handover_open_file(const char *key, const char *path, int fd, uid_t uid, gid_t gid,
                      struct pf_error *error)
{
    struct stat opened;
    struct stat named;

    if (fstat(fd, &opened) < 0 || lstat(path, &named) < 0)
        return refuse(key, path, errno, strerror(errno), error);
    if (!S_ISREG(opened.st_mode) || opened.st_nlink != 1 || opened.st_dev != named.st_dev ||
        opened.st_ino != named.st_ino)
        return 0;
    return give(key, path, fd, &opened, uid, gid, error);
}

/* Why a file that is named for it cannot be given away, or NULL. */
static const char *
objection(const struct stat *st)
{
    if (S_ISLNK(st->st_mode))
        return "is a symbolic link: name the real path";
    if (!S_ISDIR(st->st_mode) && st->st_nlink > 1)
        return "has further names (hard links)";
    return NULL;
}

int
pf_handover_path(const char *key, const char *path, uid_t uid, gid_t gid,
                 struct pf_error *error)
{
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    const char *why;
    struct stat st;
    int r;

    if (fd < 0 && errno == ENOENT)
        return pf_error_set(error, PREFORK_EXIT_CONFIG, ENOENT,
                            "%s %s: there is no such file: create it", key, path);
    if (fd < 0 || fstat(fd, &st) < 0) {
        r = refuse(key, path, errno, strerror(errno), error);
    } else {
        why = objection(&st);
        r = why ? pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL, "%s %s: %s", key, path,
                               why)
                : give(key, path, fd, &st, uid, gid, error);
    }
    pf_fd_close(&fd);
    return r;
}
