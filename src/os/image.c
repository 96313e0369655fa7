/* The program of this process.
 *
 * The path is the one by which it was called, and not the one to which links on the way
 * led: who replaces a link by one to the next release means the next release. It is used
 * only if it leads to what runs here; a program that was called by another name, or that
 * was replaced while it started, has the path that the kernel knows.
 *
 * The arguments are read from /proc and not taken from main(), which the library does not
 * see, and before a title can be written over them. */
#include "os/image.h"

#include "base/attr.h"
#include "base/text.h"
#include "os/capability.h"
#include "os/fd.h"
#include "os/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIECE = 4096,
    ARGUMENTS_MAX = 2 * 1024 * 1024, /* more than the kernel takes by default */
    VARIABLE_BYTES = 64,
};

static struct pf_image here PF_PER_WORKER_FIRST = {.exe = -1, .directory = -1};
static bool noted;

static char *
grow(char *text, size_t bytes)
{
    char *more = realloc(text, bytes);

    if (!more)
        free(text);
    return more;
}

/* All that a file of /proc has, with a null byte behind it; NULL: it cannot be read. */
static char *
read_proc(const char *path, size_t *ret_length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    size_t length = 0;
    ssize_t n = fd < 0 ? -1 : 1;

    while (n > 0 && length < ARGUMENTS_MAX) {
        text = grow(text, length + PIECE + 1);
        n = text ? read(fd, text + length, PIECE) : -1;
        length += n > 0 ? (size_t)n : 0;
    }
    pf_fd_close(&fd);
    if (text && (n < 0 || length == 0)) {
        free(text);
        text = NULL;
    }
    if (text)
        text[length] = '\0';
    *ret_length = length;
    return text;
}

static size_t
count_words(const char *text, size_t length)
{
    size_t count = 0;

    for (size_t i = 0; i < length; i++)
        count += text[i] == '\0';
    return count;
}

/* Words that end with null bytes become an array, of which the text stays a part. */
static char **
split(char *text, size_t length)
{
    size_t count = count_words(text, length);
    char **argv = calloc(count + 1, sizeof *argv);

    for (size_t i = 0; argv && i < count; i++) {
        argv[i] = text;
        text += strlen(text) + 1;
    }
    return argv;
}

static void
note_arguments(void)
{
    size_t length = 0;
    char *text = read_proc("/proc/self/cmdline", &length);

    here.argv = text ? split(text, length) : NULL;
    if (!here.argv)
        free(text);
}

static bool
leads_here(const char *path)
{
    struct stat there;
    struct stat runs;

    return here.exe >= 0 && fstat(here.exe, &runs) == 0 && stat(path, &there) == 0 &&
           there.st_dev == runs.st_dev && there.st_ino == runs.st_ino;
}

char *
pf_image_absolute(const char *path)
{
    char directory[PATH_MAX];
    char whole[2 * PATH_MAX];

    if (path[0] == '/' || !getcwd(directory, sizeof directory))
        return pf_text_copy(path);
    if (pf_text_begins(path, "./"))
        path += 2;
    (void)snprintf(whole, sizeof whole, "%s/%s", directory, path); /* cut is fine */
    return pf_text_copy(whole);
}

/* The path by which it was called, if that leads here. */
static char *
called_by(void)
{
    char *found = NULL;
    char *path;

    if (!here.argv || !here.argv[0] || pf_program_find(here.argv[0], &found) < 0)
        return NULL;
    path = pf_image_absolute(found);
    free(found);
    if (path && (path[0] != '/' || !leads_here(path))) {
        free(path);
        path = NULL;
    }
    return path;
}

/* The kernel marks the path of a file that is not there any more. Whatever stands there by
 * now is meant: it was put in the place of what runs here. */
static char *
known_to_the_kernel(void)
{
    static const char mark[] = " (deleted)";
    const size_t mark_length = sizeof mark - 1;
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    if (n <= 0 || path[0] != '/')
        return NULL;
    path[n] = '\0';
    if (!leads_here(path) && (size_t)n > mark_length &&
        strcmp(path + n - mark_length, mark) == 0)
        path[(size_t)n - mark_length] = '\0';
    return pf_text_copy(path);
}

struct pf_image *
pf_image_here(void)
{
    if (noted)
        return &here;
    noted = true;
    here.exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    here.directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    here.umask = umask(0);
    (void)umask(here.umask);
    note_arguments();
    here.path = called_by();
    if (!here.path)
        here.path = known_to_the_kernel();
    return &here;
}

int
pf_image_rename(struct pf_image *image, const char *path)
{
    char *copy = pf_text_copy(path);

    if (!copy)
        return -ENOMEM;
    free(image->path);
    image->path = copy;
    return 0;
}

void
pf_image_leave(struct pf_image *image)
{
    pf_fd_close(&image->exe);
    pf_fd_close(&image->directory);
}

/* execveat(2) resolves nothing where the path is empty. */
static int
execute(const struct pf_image *image, int exe)
{
    bool passes = pf_capability_pass_on(true);
    int errnum;

    if (exe >= 0)
        (void)execveat(exe, "", image->argv, environ, AT_EMPTY_PATH);
    else
        (void)execve(image->path, image->argv, environ);
    errnum = errno;
    if (passes)
        (void)pf_capability_pass_on(false);
    return -errnum;
}

int
pf_image_exec(const struct pf_image *image, int exe, const char *name, int number)
{
    char text[VARIABLE_BYTES];
    int directory;
    mode_t mask;
    int r;

    if (!image->argv || (exe < 0 && !image->path))
        return -ENOENT;
    (void)snprintf(text, sizeof text, "%d", number);
    if (setenv(name, text, 1) < 0)
        return -errno;
    directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (image->directory >= 0)
        (void)fchdir(image->directory);
    mask = umask(image->umask);
    r = execute(image, exe);
    (void)umask(mask);
    (void)unsetenv(name);
    if (directory >= 0)
        (void)fchdir(directory);
    pf_fd_close(&directory);
    return r;
}
