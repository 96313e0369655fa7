/* What stands where the scoreboard's file is to be.
 *
 * Nothing, or what a server left behind that ended without cleaning up: fine. Everything
 * else is somebody's and is left alone: another kind of file, one that does not begin as a
 * scoreboard does, and the scoreboard of a server that runs.
 *
 * A server that runs is known by its lock, not by the pid that its file names, since that
 * number may be somebody else's by now. It is a write lock of the open file description
 * (fcntl(2), F_OFD_SETLK): only who may write the file can have one, and it is gone with
 * the master however that ended. A read lock, which everybody who may read the file can
 * have, says nothing, so it is a read lock that is asked for: only a write lock is in its
 * way.
 *
 * Of two servers that find the same left-over one gets the lock. The other may get it when
 * the first is done, and then the file is not at the path any more. */
#include "link/score_found.h"

#include "os/fd.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
pf_score_found_refuse(const char *path, int errnum, struct pf_error *error)
{
    const char *more = "";

    if (errnum == ENOENT || errnum == EACCES || errnum == ENOTDIR)
        more = "; is the directory there and writable?";
    else if (errnum == ENOSPC || errnum == EDQUOT)
        more = "; make room, or name another path";
    return pf_error_set(error, PREFORK_EXIT_SYSTEM, errnum, "scoreboard_path %s: %s%s",
                        path, strerror(errnum), more);
}

static int
refuse_kind(const char *path, mode_t mode, struct pf_error *error)
{
    const char *kind = S_ISLNK(mode)    ? "a symbolic link: name the real path"
                       : S_ISDIR(mode)  ? "a directory: name a file in it"
                       : S_ISFIFO(mode) ? "a FIFO: name another path"
                       : S_ISSOCK(mode) ? "a socket: name another path"
                                        : "a device: name another path";

    return pf_error_set(error, PREFORK_EXIT_SYSTEM, EEXIST,
                        "scoreboard_path %s: is %s, or remove it", path, kind);
}

static int
refuse_changing(const char *path, struct pf_error *error)
{
    return pf_error_set(error, PREFORK_EXIT_SYSTEM, EEXIST,
                        "scoreboard_path %s: is changing just now: does another server "
                        "start with it?",
                        path);
}

static int
refuse_held(const char *path, const struct pf_score_head *head, struct pf_error *error)
{
    return pf_error_set(error, PREFORK_EXIT_SYSTEM, EEXIST,
                        "scoreboard_path %s: is that of the running server %s, process "
                        "%d: stop it, or name another path",
                        path, head->name, (int)head->pid);
}

bool
pf_score_found_is_held(int fd)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool
pf_score_found_is_at(int fd, const char *path)
{
    struct stat open_one;
    struct stat there;

    return fd >= 0 && fstat(fd, &open_one) == 0 && lstat(path, &there) == 0 &&
           open_one.st_dev == there.st_dev && open_one.st_ino == there.st_ino;
}

/* It is shown to people, and anybody may have written it. */
static void
make_printable(char *name, size_t bytes)
{
    name[bytes - 1] = '\0';
    for (; *name != '\0'; name++) {
        if (*name < ' ' || *name > '~')
            *name = '?';
    }
}

static int
read_head(int fd, const char *path, struct pf_score_head *head, struct pf_error *error)
{
    ssize_t n = pread(fd, head, sizeof *head, 0);

    if (n < 0)
        return pf_score_found_refuse(path, errno, error);
    if (n != (ssize_t)sizeof *head ||
        memcmp(head->magic, PF_SCORE_MAGIC, sizeof head->magic) != 0)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, EEXIST,
                            "scoreboard_path %s: is a file and no scoreboard, and is left "
                            "as it is: name another path, or remove it",
                            path);
    make_printable(head->name, sizeof head->name);
    return 0;
}

/* A read lock of somebody else's may keep us from ours: then two servers that start at the
 * same moment are not kept apart, and the file is still nobody's. */
static int
take_file(int fd, const char *path, struct pf_score_found *found, struct pf_error *error)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int r = read_head(fd, path, &found->head, error);

    if (r < 0)
        return r;
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0 && errno != EAGAIN && errno != EACCES)
        return pf_score_found_refuse(path, errno, error);
    if (pf_score_found_is_held(fd))
        return refuse_held(path, &found->head, error);
    return pf_score_found_is_at(fd, path) ? 0 : refuse_changing(path, error);
}

int
pf_score_found_take(const char *path, struct pf_score_found *ret_found,
                    struct pf_error *error)
{
    struct pf_score_found found = {.fd = -1};
    struct stat st;
    int r;

    *ret_found = found;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : pf_score_found_refuse(path, errno, error);
    if (!S_ISREG(st.st_mode))
        return refuse_kind(path, st.st_mode, error);
    found.fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (found.fd < 0)
        return pf_score_found_refuse(path, errno, error);
    r = take_file(found.fd, path, &found, error);
    if (r < 0)
        pf_fd_close(&found.fd);
    *ret_found = found;
    return r;
}
