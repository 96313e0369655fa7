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
 * After a reload a socket of another type may be wanted at the path of one that is in
 * service. It is bound beside it, and rename(2) lets it take over the path without a gap.
 * The kernel goes on to call it by the name it was bound to (ss(8) shows that one). A
 * socket of the same type is kept, and its file gets mode and owner of the new settings at
 * the commit; whether that will be permitted is said before, since then nobody can be
 * refused.
 *
 * A rehearsal does all that a start does but listen, and removes the file at once: however
 * it ends, nobody finds a socket there that has no server.
 *
 * Deliberately absent: abstract names, directories made on the way, and the table of
 * listeners. Whether one of them has this path already is for net/opening.c to know. */
#include "net/path.h"

#include "os/capability.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
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

/* 1: a socket nobody answers on is at the path, 0: nothing. Or why it is not ours to free.
 */
static int
look_at(const char *path, struct pf_error *error)
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
    return 1;
}

static int
clear_path(const char *path, struct pf_error *error)
{
    int stale = look_at(path, error);

    if (stale <= 0)
        return stale;
    return unlink(path) < 0 && errno != ENOENT ? refuse_file(path, errno, error) : 0;
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
give_rights(const struct pf_endpoint *e, int file, mode_t mode)
{
    char name[64];

    if (fchownat(file, "", e->owner, e->group, AT_EMPTY_PATH) < 0)
        return -errno;
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    return chmod(name, mode) < 0 ? -errno : 0;
}

/* A descriptor of the file, if it is still at the path; or a negative errno. Somebody who
 * replaced it keeps his as it is. */
static int
open_file(const char *path, const struct pf_path_file *file)
{
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int r = fd;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        r = -errno;
    else if (st.st_dev != file->dev || st.st_ino != file->ino)
        r = -EADDRINUSE;
    if (r < 0)
        (void)close(fd); /* nothing was written to it */
    return r;
}

static int
open_rights(const struct pf_endpoint *e, const struct pf_path_file *made)
{
    int file = open_file(e->port, made);
    int r = file;

    if (file >= 0) {
        r = give_rights(e, file, wanted_mode(e));
        (void)close(file); /* nothing was written to it */
    }
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
open_path(const struct pf_endpoint *endpoint, bool rehearsal, int fd,
          const struct pf_path_file *file, struct pf_error *error)
{
    const bool listens = !pf_proto_is_datagram(endpoint->proto) && !rehearsal;
    int e;

    if (listens && listen(fd, endpoint->backlog) < 0)
        return refuse_file(endpoint->port, errno, error);
    e = has_rights(endpoint) ? open_rights(endpoint, file) : 0;
    return e < 0 ? pf_error_set(error, PREFORK_EXIT_SYSTEM, -e,
                                "socket %s: its owner and mode cannot be set: %s",
                                endpoint->port, strerror(-e))
                 : 0;
}

/* In a rehearsal nothing can be sent to a socket for datagrams, for the moment that it has
 * its file. */
static int
make_socket(const struct pf_endpoint *endpoint, bool rehearsal)
{
    int fd = make_unix(pf_proto_socket_type(endpoint->proto));

    if (fd >= 0 && rehearsal)
        (void)shutdown(fd, SHUT_RD); /* a stream refuses, as one that does not listen */
    return fd;
}

int
pf_path_open(const struct pf_endpoint *endpoint, bool rehearsal,
             struct pf_path_file *ret_file, struct pf_error *error)
{
    struct pf_path_file file = {0};
    int e = clear_path(endpoint->port, error);
    int fd;

    if (e < 0)
        return e;
    fd = make_socket(endpoint, rehearsal);
    if (fd < 0)
        return refuse_file(endpoint->port, -fd, error);
    e = bind_path(endpoint, fd, &file, error);
    if (e == 0)
        e = open_path(endpoint, rehearsal, fd, &file, error);
    if (e < 0 || rehearsal)
        pf_path_unlink(endpoint->port, &file);
    if (e < 0) {
        (void)close(fd); /* nothing was written to it */
        return e;
    }
    *ret_file = file;
    return fd;
}

/* ---- a path that is there already -----------------------------------------------------
 */

bool
pf_path_is(const char *path, const struct pf_path_file *file)
{
    struct stat st;

    return file->ino != 0 && lstat(path, &st) == 0 && st.st_dev == file->dev &&
           st.st_ino == file->ino;
}

bool
pf_path_beside(const char *path, char ret_beside[static PF_ENDPOINT_PORT_BYTES])
{
    int n = snprintf(ret_beside, PF_ENDPOINT_PORT_BYTES, "%s.new", path);

    return n > 0 && n < PF_ENDPOINT_PORT_BYTES;
}

int
pf_path_replace(const char *path, bool ours, struct pf_error *error)
{
    char beside[PF_ENDPOINT_PORT_BYTES];
    int e = ours ? 0 : look_at(path, error);

    if (e < 0)
        return e;
    if (!pf_path_beside(path, beside))
        return refuse_path(path, ENAMETOOLONG, "too long", error);
    return rename(beside, path) < 0 ? refuse_file(path, errno, error) : 0;
}

static bool
has_owner(const struct pf_endpoint *e, const struct stat *st)
{
    return (e->owner == (uid_t)-1 || e->owner == st->st_uid) &&
           (e->group == (gid_t)-1 || e->group == st->st_gid);
}

static bool
has_mode(const struct pf_endpoint *e, const struct stat *st)
{
    return !e->has_mode || (st->st_mode & 07777) == e->mode;
}

/* Who owns a file may give it to another group of his own. */
static bool
may_change_owner(const struct pf_endpoint *e, const struct stat *st)
{
    if (pf_capability_has(UINT64_C(1) << CAP_CHOWN))
        return true;
    return geteuid() == st->st_uid && (e->owner == (uid_t)-1 || e->owner == st->st_uid) &&
           (e->group == getegid() || group_member(e->group));
}

static bool
may_change_mode(const struct stat *st)
{
    return geteuid() == st->st_uid || pf_capability_has(UINT64_C(1) << CAP_FOWNER);
}

int
pf_path_may_change(const struct pf_endpoint *endpoint, const struct pf_path_file *file,
                   struct pf_error *error)
{
    struct stat st;

    if (!pf_path_is(endpoint->port, file) || lstat(endpoint->port, &st) < 0)
        return refuse_path(endpoint->port, ENOENT, "is not there any more", error);
    if ((has_owner(endpoint, &st) || may_change_owner(endpoint, &st)) &&
        (has_mode(endpoint, &st) || may_change_mode(&st)))
        return 0;
    return refuse_path(endpoint->port, EPERM,
                       "its owner and mode cannot be changed by the user the server runs "
                       "as: restart the server",
                       error);
}

int
pf_path_change(const struct pf_endpoint *endpoint, const struct pf_path_file *file)
{
    int fd = open_file(endpoint->port, file);
    struct stat st;
    int r = fd;

    if (fd < 0)
        return r;
    if (fstat(fd, &st) < 0)
        r = -errno;
    else if (has_owner(endpoint, &st) && has_mode(endpoint, &st))
        r = 0;
    else
        r = give_rights(endpoint, fd,
                        endpoint->has_mode ? endpoint->mode : st.st_mode & 07777);
    (void)close(fd); /* nothing was written to it */
    return r;
}

/* Only the very file that we made: somebody else may live at the path by now. */
void
pf_path_unlink(const char *path, struct pf_path_file *file)
{
    if (pf_path_is(path, file))
        (void)unlink(path); /* privileges may be gone: then the next start does it */
    *file = (struct pf_path_file){0};
}
