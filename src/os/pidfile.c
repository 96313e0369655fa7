/* The kernel lists all locks of files in /proc/locks, with pid, device and inode of each,
 * for everybody to read. So who holds a lock can be known without trying to take it, which
 * would be in the way of a server that starts in this moment.
 *
 * The device and the inode of that list are the kernel's own, and those of fstat(2) may
 * differ (btrfs, overlayfs). They are asked for in the same words: fdinfo names the mount
 * and the inode of an open file, and mountinfo the device of the mount. Where that does not
 * work, fstat(2) has to do.
 *
 * The list has the process that took the lock, by its number in our pid namespace. A lock
 * that was taken in a namespace that cannot be seen from here is not listed. */
#include "os/pidfile.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Longer lines of mountinfo are read in pieces, which match nothing. A pid file has at most
 * the largest number and a newline. */
enum {
    LINE_BYTES = 4096,
    NAME_BYTES = 64, /* of a file in the list of locks */
    TEXT_BYTES = 16,
    TRIES = 100, /* at a file that somebody else removes and makes again and again */
};

/* ---- the file ----------------------------------------------------------------------- */

static int
what_it_is(mode_t mode)
{
    if (S_ISREG(mode))
        return 0;
    if (S_ISLNK(mode))
        return -ELOOP;
    return S_ISDIR(mode) ? -EISDIR : -ENOTSUP;
}

/* Looked at before it is opened: to open a FIFO or a device is an act. */
int
pf_pidfile_open(const char *path)
{
    struct stat st;
    int r = lstat(path, &st) < 0 ? -errno : what_it_is(st.st_mode);
    int fd;

    if (r < 0)
        return r;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    r = fstat(fd, &st) < 0 ? -errno : what_it_is(st.st_mode);
    if (r < 0)
        (void)close(fd);
    return r < 0 ? r : fd;
}

/* Whoever removes a file has it locked; so what was locked here is the file, unless it was
 * removed between the two. */
static int
lock_there(int directory, const char *name, int fd)
{
    struct stat ours;
    struct stat there;

    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    if (fstat(fd, &ours) < 0)
        return -errno;
    if (fstatat(directory, name, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? -ESTALE : -errno;
    return ours.st_dev == there.st_dev && ours.st_ino == there.st_ino ? 0 : -ESTALE;
}

int
pf_pidfile_open_locked(int directory, const char *name)
{
    const int flags = O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;
    int r = -ESTALE;

    for (int tries = 0; r == -ESTALE && tries < TRIES; tries++) {
        int fd = openat(directory, name, flags, 0644);
        if (fd < 0)
            return -errno;
        r = lock_there(directory, name, fd);
        if (r == 0)
            return fd;
        (void)close(fd);
    }
    return r;
}

int
pf_pidfile_read(int fd, pid_t *ret_pid)
{
    char text[TEXT_BYTES];
    uint64_t number;
    ssize_t n = pread(fd, text, sizeof text, 0);

    if (n < 0)
        return -errno;
    if (n == 0)
        return PF_PIDFILE_EMPTY;
    if (n == (ssize_t)sizeof text || text[n - 1] != '\n' || memchr(text, '\0', (size_t)n))
        return PF_PIDFILE_GARBAGE;
    text[n - 1] = '\0';
    if (text[0] == '0' || pf_text_number(text, &number) < 0 || number > INT_MAX)
        return PF_PIDFILE_GARBAGE;
    *ret_pid = (pid_t)number;
    return 0;
}

/* ---- who holds it -------------------------------------------------------------------- */

/* The mount and the inode of an open file, as the kernel says: 0 or -ENOENT. */
static int
read_fdinfo(int fd, unsigned long *ret_mount, uintmax_t *ret_inode)
{
    char line[256];
    char path[64];
    int found = 0;
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    f = fopen(path, "re");
    if (!f)
        return -ENOENT;
    while (fgets(line, sizeof line, f)) {
        if (pf_text_begins(line, "mnt_id:")) {
            *ret_mount = strtoul(line + strlen("mnt_id:"), NULL, 10);
            found++;
        } else if (pf_text_begins(line, "ino:")) {
            *ret_inode = strtoumax(line + strlen("ino:"), NULL, 10);
            found++;
        }
    }
    (void)fclose(f);
    return found == 2 ? 0 : -ENOENT;
}

/* The device of a mount. Lines begin with its number, its parent's, and "major:minor". */
static int
read_mountinfo(unsigned long mount, unsigned long *ret_major, unsigned long *ret_minor)
{
    char line[LINE_BYTES];
    int r = -ENOENT;
    FILE *f = fopen("/proc/self/mountinfo", "re");

    if (!f)
        return -ENOENT;
    while (r < 0 && fgets(line, sizeof line, f)) {
        char *end;
        if (strtoul(line, &end, 10) != mount)
            continue;
        (void)strtoul(end, &end, 10);
        *ret_major = strtoul(end, &end, 10);
        if (*end != ':')
            continue;
        *ret_minor = strtoul(end + 1, NULL, 10);
        r = 0;
    }
    (void)fclose(f);
    return r;
}

/* The name of an open file in the list of locks, such as "fe:00:10954478". */
static int
find_name(int fd, char name[NAME_BYTES])
{
    unsigned long mount = 0;
    unsigned long device[2] = {0, 0};
    uintmax_t inode = 0;
    struct stat st;

    if (read_fdinfo(fd, &mount, &inode) < 0 ||
        read_mountinfo(mount, &device[0], &device[1]) < 0) {
        if (fstat(fd, &st) < 0)
            return -errno;
        device[0] = major(st.st_dev);
        device[1] = minor(st.st_dev);
        inode = st.st_ino;
    }
    (void)snprintf(name, NAME_BYTES, "%02lx:%02lx:%" PRIuMAX, device[0], device[1], inode);
    return 0;
}

/* A line of the list: "1: FLOCK ADVISORY WRITE 4711 fe:00:10954478 0 EOF". It is cut into
 * words. Locks that are waited for have an arrow as their second one. */
static bool
is_lock_of(char *line, const char *name, pid_t *ret_pid)
{
    enum { NUMBER, KIND, MODE, ACCESS, PID, NAME, COUNT };
    char *words[COUNT] = {NULL};
    char *rest = NULL;

    words[0] = strtok_r(line, " ", &rest);
    for (int i = 1; i < COUNT && words[i - 1]; i++)
        words[i] = strtok_r(NULL, " ", &rest);
    if (!words[NAME] || strcmp(words[KIND], "FLOCK") != 0 || strcmp(words[NAME], name) != 0)
        return false;
    *ret_pid = (pid_t)strtol(words[PID], NULL, 10);
    return true;
}

int
pf_pidfile_holder(int fd, pid_t *ret_pid)
{
    char name[NAME_BYTES];
    char line[256];
    pid_t pid = 0;
    bool found = false;
    int r = find_name(fd, name);
    FILE *f = r < 0 ? NULL : fopen("/proc/locks", "re");

    if (!f)
        return r < 0 ? r : -errno;
    while (!found && fgets(line, sizeof line, f))
        found = is_lock_of(line, name, &pid);
    if (ferror(f))
        r = -EIO;
    (void)fclose(f);
    if (r == 0)
        *ret_pid = found ? pid : 0;
    return r;
}
