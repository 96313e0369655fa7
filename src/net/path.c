/* The path of a unix socket comes and goes here.
 *
 * Opening is four steps: make the path free, bind, listen (for streams), give the file its
 * owner and then its mode. The socket is made with mode 0 (see make_private()), so the file
 * is never more open than it will be. Its rights go through a descriptor of the file
 * itself, because the path may lie in a directory where others can replace it.
 *
 * What always holds: an existing path is removed only when it is a socket and connect(2)
 * says that nobody listens, and a path of ours only while it is still the file that we made
 * (device and inode). Two servers that start in the same instant on one path can still take
 * it from each other between that answer and bind(2); the pid file is the lock for that
 * case.
 *
 * Deliberately absent: abstract names, directories made on the way, and the table of
 * listeners. Whether one of them has this path already is for net/listener.c to know. */
#include "net/path.h"

#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- refusals -------------------------------------------------------------------------
 */

static int
refuse_path(const char *path, int errnum, const char *why, struct pf_error *error)
{
    return pf_error_set(error, PREFORK_EXIT_SYSTEM, errnum, "socket %s: %s", path, why);
}

/* For refusals by the file system. */
static int
refuse_file(const char *path, int errnum, struct pf_error *error)
{
    int directory = (int)(strrchr(path, '/') - path);

    switch (errnum) {
    case ENOENT:
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, errnum,
                            "socket %s: the directory %.*s does not exist: create it", path,
                            directory, path);
    case EACCES:
    case EPERM:
        return pf_error_set(
            error, PREFORK_EXIT_SYSTEM, errnum,
            "socket %s: permission denied: check the directory %.*s and the "
            "user that starts the server",
            path, directory > 0 ? directory : 1, path);
    case EADDRINUSE: return refuse_path(path, errnum, "in use by another process", error);
    case EMFILE:
        return refuse_path(path, errnum, "too many open files: raise the limit (ulimit -n)",
                           error);
    default: return refuse_path(path, errnum, strerror(errnum), error);
    }
}

/* ---- making it free -------------------------------------------------------------------
 */

static struct sockaddr_un
path_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, path, strlen(path));
    return address;
}

static int
make_unix(int type)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd < 0 ? -errno : fd;
}

/* 1: somebody answers at the path, 0: nobody, or a negative errno. The
 * question is that of a stream: EAGAIN is a full queue, EPROTOTYPE a datagram socket. Both
 * have an owner. */
static int
ask_path(const char *path)
{
    const struct sockaddr_un address = path_address(path);
    int fd = make_unix(SOCK_STREAM);
    int e;

    if (fd < 0)
        return fd;
    e = connect(fd, (const void *)&address, sizeof address) == 0 ? 0 : errno;
    (void)close(fd); /* nothing was written to it */
    switch (e) {
    case 0:
    case EAGAIN:
    case EINPROGRESS:
    case EPROTOTYPE: return 1;
    case ECONNREFUSED:
    case ENOENT: return 0;
    default: return -e;
    }
}

/* Make the path free, or say why it is not ours to free. */
static int
clear_path(const char *path, struct pf_error *error)
{
    struct stat st;
    int alive;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : refuse_file(path, errno, error);
    if (!S_ISSOCK(st.st_mode))
        return refuse_path(path, EEXIST,
                           S_ISLNK(st.st_mode)
                               ? "is a symbolic link: name the real path, or remove it"
                               : "exists and is not a socket: remove it, or choose another "
                                 "path",
                           error);
    alive = ask_path(path);
    if (alive < 0)
        return refuse_file(path, -alive, error);
    if (alive)
        return refuse_path(path, EADDRINUSE,
                           "in use by another process (ss -lxp shows which): stop it, or "
                           "choose another path",
                           error);
    if (unlink(path) < 0 && errno != ENOENT)
        return refuse_file(path, errno, error);
    return 0;
}

/* ---- owner and mode -------------------------------------------------------------------
 */

static bool
has_rights(const struct pf_endpoint *e)
{
    return e->has_mode || e->owner != (uid_t)-1 || e->group != (gid_t)-1;
}

/* bind(2) gives the file the mode of the socket, less the umask. So this takes all rights
 * before there is a file, and unlike umask(2) it also holds where the directory has a
 * default ACL. */
static int
make_private(int fd)
{
    return fchmod(fd, 0) < 0 ? -errno : 0;
}

static mode_t
wanted_mode(const struct pf_endpoint *e)
{
    mode_t mask;

    if (e->has_mode)
        return e->mode;
    mask = umask(0);
    (void)umask(mask); /* it cannot fail; there is no other portable way to read it */
    return 0777 & ~mask;
}

/* Owner first: a mode meant for the final owner is too wide for another. A descriptor made
 * with O_PATH knows no fchmod(2); its name in /proc does, and leads to the same file. */
static int
give_rights(const struct pf_endpoint *e, int file)
{
    char name[64];

    if (fchownat(file, "", e->owner, e->group, AT_EMPTY_PATH) < 0)
        return -errno;
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    return chmod(name, wanted_mode(e)) < 0 ? -errno : 0;
}

static int
open_rights(const struct pf_endpoint *e, const struct pf_path_file *made)
{
    int file = open(e->port, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int r;

    if (file < 0)
        return -errno;
    if (fstat(file, &st) < 0)
        r = -errno;
    else if (st.st_dev != made->dev || st.st_ino != made->ino)
        r = -EADDRINUSE; /* replaced since bind(2): leave the other's file alone */
    else
        r = give_rights(e, file);
    (void)close(file); /* nothing was written to it */
    return r;
}

/* ---- all of it ------------------------------------------------------------------------
 */

/* Bind fd to the path and remember the file, so that it can be taken back from here on. */
static int
bind_path(const struct pf_endpoint *endpoint, int fd, struct pf_path_file *ret_file,
          struct pf_error *error)
{
    const struct sockaddr_un address = path_address(endpoint->port);
    struct stat st;
    int e = has_rights(endpoint) ? make_private(fd) : 0;

    if (e == 0 && bind(fd, (const void *)&address, sizeof address) < 0)
        e = -errno;
    if (e < 0)
        return refuse_file(endpoint->port, -e, error);
    if (lstat(endpoint->port, &st) < 0)
        return refuse_file(endpoint->port, errno, error);
    *ret_file = (struct pf_path_file){.dev = st.st_dev, .ino = st.st_ino};
    return 0;
}

static int
open_path(const struct pf_endpoint *endpoint, int fd, const struct pf_path_file *file,
          struct pf_error *error)
{
    int e;

    if (!pf_proto_is_datagram(endpoint->proto) && listen(fd, endpoint->backlog) < 0)
        return refuse_file(endpoint->port, errno, error);
    e = has_rights(endpoint) ? open_rights(endpoint, file) : 0;
    return e < 0 ? pf_error_set(error, PREFORK_EXIT_SYSTEM, -e,
                                "socket %s: its owner and mode cannot be set: %s",
                                endpoint->port, strerror(-e))
                 : 0;
}

int
pf_path_open(const struct pf_endpoint *endpoint, struct pf_path_file *ret_file,
             struct pf_error *error)
{
    struct pf_path_file file = {0};
    int e = clear_path(endpoint->port, error);
    int fd;

    if (e < 0)
        return e;
    fd = make_unix(pf_proto_socket_type(endpoint->proto));
    if (fd < 0)
        return refuse_file(endpoint->port, -fd, error);
    e = bind_path(endpoint, fd, &file, error);
    if (e == 0)
        e = open_path(endpoint, fd, &file, error);
    if (e < 0) {
        pf_path_unlink(endpoint->port, &file);
        (void)close(fd); /* nothing was written to it */
        return e;
    }
    *ret_file = file;
    return fd;
}

/* Only the very file that we made: somebody else may live at the path by now. */
void
pf_path_unlink(const char *path, struct pf_path_file *file)
{
    struct stat st;

    if (file->ino != 0 && lstat(path, &st) == 0 && st.st_dev == file->dev &&
        st.st_ino == file->ino)
        (void)unlink(path); /* privileges may be gone: then the next start does it */
    *file = (struct pf_path_file){0};
}
