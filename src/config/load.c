/* Reading a config file.
 *
 * The file is read whole, into memory of fixed size, and then parsed: a grammar that
 * works on memory can be tested on anything. Pipes are read too, so that a shell can
 * hand in what it made (`--conf-file <(make-config)`). What was read can be kept, so that a
 * server can go back to it when the file says something else by then. */
#include "config/load.h"

#include "config/parse.h"
#include "os/fd.h"
#include "os/watch.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int
refuse(const char *path, int errnum, const char *what, struct pf_error *error)
{
    return pf_error_set(error, PREFORK_EXIT_CONFIG, errnum, "config file %s: %s", path,
                        what);
}

static int
refuse_type(const char *path, mode_t mode, struct pf_error *error)
{
    if (S_ISDIR(mode))
        return refuse(path, EISDIR, "is a directory", error);
    if (!S_ISREG(mode) && !S_ISFIFO(mode))
        return refuse(path, EINVAL, "is neither a file nor a pipe", error);
    return 0;
}

static int
open_file(const char *path, int *ret_fd, struct pf_error *error)
{
    struct stat st;
    int fd;
    int r;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return refuse(path, errno, strerror(errno), error);
    if (fstat(fd, &st) < 0)
        r = refuse(path, errno, strerror(errno), error);
    else
        r = refuse_type(path, st.st_mode, error);
    if (r < 0) {
        pf_fd_close(&fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

/* Up to capacity bytes, until the end: their number or a negative errno. */
static ssize_t
read_all(int fd, char *buffer, size_t capacity)
{
    size_t length = 0;

    while (length < capacity) {
        ssize_t n = read(fd, buffer + length, capacity - length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        length += (size_t)n;
    }
    return (ssize_t)length;
}

/* For want of memory there is none. */
static int
make_copy(const char *text, size_t length)
{
    int fd = memfd_create("prefork-conf", MFD_CLOEXEC);

    if (fd >= 0 && write(fd, text, length) != (ssize_t)length)
        pf_fd_close(&fd);
    return fd;
}

/* What stands behind fd is read from its beginning, if it has one. */
static int
read_and_parse(struct pf_settings *settings, const char *path, int fd, char *buffer,
               int *ret_copy, struct pf_error *error)
{
    ssize_t length;
    int r;

    (void)lseek(fd, 0, SEEK_SET); /* a pipe has no beginning */
    length = read_all(fd, buffer, PF_LOAD_BYTES_MAX + 1);
    if (length < 0)
        return refuse(path, (int)-length, strerror((int)-length), error);
    if (length > PF_LOAD_BYTES_MAX)
        return refuse(path, EFBIG, "is larger than 1 MiB", error);
    r = pf_parse_config(settings, path, buffer, (size_t)length, error);
    if (r == 0 && ret_copy)
        *ret_copy = make_copy(buffer, (size_t)length);
    return r;
}

static int
load(struct pf_settings *settings, const char *path, int fd, int *ret_copy,
     struct pf_error *error)
{
    char *buffer = malloc(PF_LOAD_BYTES_MAX + 1);
    int r;

    if (!buffer)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, ENOMEM, "out of memory for %s",
                            path);
    r = read_and_parse(settings, path, fd, buffer, ret_copy, error);
    free(buffer);
    return r;
}

int
pf_load_config(struct pf_settings *settings, const char *path, struct pf_loaded *ret_loaded,
               struct pf_error *error)
{
    struct pf_loaded loaded = {.copy = -1};
    int fd = -1;
    int r;

    r = open_file(path, &fd, error);
    if (r < 0)
        return r;
    pf_watch_identify_fd(fd, &loaded.identity);
    r = load(settings, path, fd, ret_loaded ? &loaded.copy : NULL, error);
    pf_fd_close(&fd);
    if (r == 0 && ret_loaded)
        *ret_loaded = loaded;
    return r;
}

int
pf_load_copy(struct pf_settings *settings, const char *path, int copy,
             struct pf_error *error)
{
    return load(settings, path, copy, NULL, error);
}
