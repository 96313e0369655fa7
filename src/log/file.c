/* Appending to a file.
 *
 * The file is opened by its name in a directory that is held open, so that it can be
 * opened again, after somebody has renamed it, by a process that has meanwhile lost sight
 * of the path or the right to walk it from the root.
 *
 * Nothing here waits. A FIFO is opened for reading as well: then it opens without a
 * reader, keeps what fits until one comes, and never breaks. A disk that fills up in the
 * middle of a line leaves a part of it, and the next line begins on a new one. */
#include "log/file.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FLAGS = O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
    MODE = 0640,
};

int
pf_place_open(struct pf_place *p, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    char directory[PATH_MAX] = ".";
    int fd;

    if (length >= sizeof directory)
        return -ENAMETOOLONG;
    if (length > 0) {
        memcpy(directory, path, length);
        directory[length] = '\0';
    }
    fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *p = (struct pf_place){.directory = fd, .path = path, .name = path + length};
    return 0;
}

void
pf_place_close(struct pf_place *p)
{
    pf_fd_close(&p->directory);
}

static bool
is_fifo(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

int
pf_file_open(const struct pf_place *p)
{
    int fd = openat(p->directory, p->name, FLAGS | O_WRONLY, MODE);

    if (fd < 0 ? errno == ENXIO : is_fifo(fd)) {
        pf_fd_close(&fd);
        fd = openat(p->directory, p->name, FLAGS | O_RDWR, MODE);
    }
    return fd < 0 ? -errno : fd;
}

int
pf_file_write(int fd, const char *buffer, size_t bytes, bool *torn)
{
    const char *line = *torn ? buffer : buffer + 1;
    size_t length = bytes - (size_t)(line - buffer);
    ssize_t n;

    do
        n = write(fd, line, length);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)length) {
        *torn = false;
        return 0;
    }
    *torn = *torn || n > 0;
    return n < 0 ? -errno : -ENOSPC;
}
