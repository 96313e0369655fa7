/* stat(2) says what is there, inotify(7) when to look.
 *
 * What inotify says is never believed to the letter: any event means "look", and only
 * looks count. So it does not matter that events can be lost, come late, or be about
 * something else in the same directory.
 *
 * Watched are the file, for what is written to it, and the directory it is in, for files
 * that are renamed to its name; of the directory only comings and goings, so that a log
 * file beside it, which grows all the time, wakes nobody. If a part of the path is a
 * symbolic link, the same is done for the path behind it. Watches follow files and
 * directories, not paths: after a change they are made anew.
 *
 * After chroot(2) a path leads elsewhere. openat2(2) with RESOLVE_IN_ROOT walks it from a
 * descriptor of the old root directory as if nothing had happened, absolute links
 * included. inotify has no such door: watches from before stay, new ones cannot be made.
 *
 * Not seen without looking: that a directory further up was renamed, and what another
 * machine does to a file on a network file system. */
#include "os/watch.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    OF_FILE = IN_MODIFY | IN_ATTRIB,
    OF_DIRECTORY = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                   IN_MOVE_SELF | IN_ONLYDIR,
    LOST = IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_Q_OVERFLOW,
    LINKS_MAX = 8, /* within each other */
};

static void
identity_of(const struct stat *st, struct pf_identity *ret_identity)
{
    *ret_identity = (struct pf_identity){0};
    if (!S_ISREG(st->st_mode))
        return;
    *ret_identity = (struct pf_identity){
        .there = true,
        .device = st->st_dev,
        .inode = st->st_ino,
        .size = (uint64_t)st->st_size,
        .written_ns = st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec,
    };
}

void
pf_watch_identify(const char *path, struct pf_identity *ret_identity)
{
    struct stat st = {0};

    (void)stat(path, &st); /* refused: zeros are no file */
    identity_of(&st, ret_identity);
}

void
pf_watch_identify_fd(int fd, struct pf_identity *ret_identity)
{
    struct stat st = {0};

    (void)fstat(fd, &st); /* likewise */
    identity_of(&st, ret_identity);
}

int
pf_watch_open(struct pf_watch *w)
{
    *w = (struct pf_watch){.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), .fd = -1};
    return w->root < 0 ? -errno : 0;
}

void
pf_watch_close(struct pf_watch *w)
{
    pf_fd_close(&w->root);
    pf_fd_close(&w->fd);
}

/* The file at path as seen from the old root, to be asked about only. */
static int
open_seen(const struct pf_watch *w, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    long fd = syscall(SYS_openat2, w->root, path, &how, sizeof how);

    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* an old kernel, or a filter */
        fd = openat(w->root, path + strspn(path, "/"), O_PATH | O_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}

int
pf_watch_look(const struct pf_watch *w, const char *path, struct pf_identity *ret_identity)
{
    int fd = open_seen(w, path);

    *ret_identity = (struct pf_identity){0};
    if (fd < 0)
        return fd;
    pf_watch_identify_fd(fd, ret_identity);
    pf_fd_close(&fd);
    return ret_identity->there ? 0 : -EINVAL;
}

static bool
is_root_still(const struct pf_watch *w)
{
    struct stat then, now;

    return fstat(w->root, &then) == 0 && stat("/", &now) == 0 &&
           then.st_dev == now.st_dev && then.st_ino == now.st_ino;
}

int
pf_watch_listen(struct pf_watch *w)
{
    pf_fd_close(&w->fd);
    if (!is_root_still(w))
        return -EXDEV;
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return w->fd < 0 ? -errno : 0;
}

void
pf_watch_deafen(struct pf_watch *w)
{
    pf_fd_close(&w->fd);
}

static int
add_directory_of(const struct pf_watch *w, const char *path)
{
    const char *slash = strrchr(path, '/');
    char directory[PATH_MAX];
    size_t length = slash == path ? 1 : (size_t)(slash - path);

    memcpy(directory, path, length);
    directory[length] = '\0';
    return inotify_add_watch(w->fd, directory, OF_DIRECTORY) < 0 ? -errno : 0;
}

static int add_along(const struct pf_watch *w, const char *path, unsigned links);

/* The first `length` bytes of path, up to a slash or the end, may be a symbolic link. */
static int
add_behind_link(const struct pf_watch *w, const char *path, size_t length, unsigned links)
{
    char link[PATH_MAX];
    char target[PATH_MAX];
    char behind[PATH_MAX];
    const char *slash;
    ssize_t n;

    memcpy(link, path, length);
    link[length] = '\0';
    n = readlink(link, target, sizeof target - 1);
    if (n < 0)
        return 0; /* no link, or not there: whoever needs it finds out */
    target[n] = '\0';
    slash = strrchr(link, '/');
    if (target[0] == '/')
        n = snprintf(behind, sizeof behind, "%s", target);
    else
        n = snprintf(behind, sizeof behind, "%.*s/%s", (int)(slash - link), link, target);
    if (n >= (ssize_t)sizeof behind)
        return -ENAMETOOLONG;
    if (links == LINKS_MAX)
        return -ELOOP;
    n = add_directory_of(w, link);
    return n < 0 ? (int)n : add_along(w, behind, links + 1);
}

/* Each link on the way, and the directory of the last part. */
static int
add_along(const struct pf_watch *w, const char *path, unsigned links)
{
    size_t length = 0;
    int r = 0;

    while (path[length] != '\0' && r == 0) {
        length += strspn(path + length, "/");
        length += strcspn(path + length, "/");
        r = add_behind_link(w, path, length, links);
    }
    return r < 0 ? r : add_directory_of(w, path);
}

int
pf_watch_add(struct pf_watch *w, const char *path)
{
    if (path[0] != '/' || strlen(path) >= PATH_MAX)
        return -EINVAL;
    if (inotify_add_watch(w->fd, path, OF_FILE) < 0 && errno != ENOENT)
        return -errno;
    return add_along(w, path, 0);
}

bool
pf_watch_hush(struct pf_watch *w)
{
    union {
        struct inotify_event event;
        char bytes[4096];
    } buffer;
    bool lost = false;
    ssize_t n;

    while (w->fd >= 0 && (n = read(w->fd, buffer.bytes, sizeof buffer.bytes)) > 0) {
        for (ssize_t at = 0; at < n;) {
            struct inotify_event event;
            memcpy(&event, buffer.bytes + at, sizeof event);
            lost = lost || (event.mask & LOST);
            at += (ssize_t)(sizeof event + event.len);
        }
    }
    return lost;
}
