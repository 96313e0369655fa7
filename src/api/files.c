/* Which files the server is made of, for auto_reload_check_every.
 *
 * Each is noted as it was when it was loaded, which is before any hook of a running server:
 * the executable when the server is made, a config file while it is open to be read, a
 * shared object or a program when it is found. What happens to them afterwards is a
 * change, however long it takes until somebody looks.
 *
 * Of each a descriptor is held, for a server that has to come back after its successor
 * failed: of a config file a copy, because they are edited in place.
 *
 * Paths are made absolute, since the working directory moves. Whether the files are
 * watched at all is settled later, by a setting. */
#include "api/server.h"
#include "master/takeover.h"
#include "os/fd.h"
#include "os/image.h"
#include "os/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One that is read twice counts as it was the last time. */
static struct pf_file *
find(struct prefork *p, enum pf_file_role role, const char *path)
{
    for (unsigned i = 0; i < p->file_count; i++) {
        if (p->files[i].role == role && strcmp(p->files[i].path, path) == 0)
            return &p->files[i];
    }
    return NULL;
}

/* path is given, also on failure. */
static struct pf_file *
add(struct prefork *p, enum pf_file_role role, char *path)
{
    struct pf_file *files = realloc(p->files, (p->file_count + 1) * sizeof *files);

    if (!files) {
        free(path);
        return NULL;
    }
    p->files = files;
    files[p->file_count] = (struct pf_file){.role = role, .path = path, .held = -1};
    return &files[p->file_count++];
}

int
pf_files_note(struct prefork *p, enum pf_file_role role, const char *path,
              const struct pf_identity *identity, int held)
{
    char *copy = pf_image_absolute(path);
    struct pf_file *file = copy ? find(p, role, copy) : NULL;

    if (file)
        free(copy);
    else if (copy)
        file = add(p, role, copy);
    if (!file) {
        pf_fd_close(&held);
        return pf_error_set(&p->error, PREFORK_EXIT_SYSTEM, ENOMEM, "out of memory");
    }
    pf_fd_close(&file->held);
    file->loaded = *identity;
    file->held = held;
    return 0;
}

static int
copy_of(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

void
pf_files_hold(const struct prefork *p, struct pf_held *ret_held)
{
    ret_held->count = 0;
    for (unsigned i = 0; i < p->file_count && ret_held->count < PF_STATE_FILES_MAX; i++) {
        const struct pf_file *f = &p->files[i];
        if (f->held >= 0)
            ret_held->files[ret_held->count++] =
                (struct pf_held_file){.fd = f->held, .role = f->role, .path = f->path};
    }
}

/* It is noted as it was when the kernel started it. In a server that has come back, which
 * was executed by its descriptor, what is at its path by now is known, and no change. */
int
pf_files_note_executable(struct prefork *p)
{
    const struct pf_image *image = pf_image_here();
    struct pf_identity identity = {0};
    bool came_back;

    if (!image->path)
        return 0; /* no /proc: nothing to watch */
    came_back = pf_takeover_held(PF_FILE_EXECUTABLE, image->path) >= 0;
    pf_watch_identify(came_back ? image->path : "/proc/self/exe", &identity);
    return pf_files_note(p, PF_FILE_EXECUTABLE, image->path, &identity,
                         copy_of(image->exe));
}

/* Where functions of the executable are served, the executable is the program. */
static bool
is_served(const struct prefork *p, enum pf_file_role role)
{
    if (role != PF_FILE_EXECUTABLE)
        return true;
    for (unsigned i = 0; i < p->file_count; i++) {
        if (p->files[i].role == PF_FILE_PROGRAM)
            return false;
    }
    return true;
}

int
pf_files_list(struct prefork *p)
{
    struct pf_reload *reload = &p->config.reload;

    reload->count = 0;
    for (unsigned i = 0; i < p->file_count; i++) {
        const struct pf_file *f = &p->files[i];
        if (!is_served(p, f->role) || (f->role == PF_FILE_CONFIG && !f->loaded.there))
            continue; /* what came by a pipe has nothing to look at */
        if (reload->count == PF_RELOAD_FILES_MAX)
            return reload->every == PF_NEVER
                       ? 0
                       : pf_error_set(&p->error, PREFORK_EXIT_CONFIG, E2BIG,
                                      "auto_reload_check_every: only %d files can be "
                                      "watched, and more were read",
                                      PF_RELOAD_FILES_MAX);
        reload->files[reload->count++] =
            (struct pf_reload_file){.path = f->path, .handled = f->loaded};
    }
    return 0;
}

void
pf_files_free(struct prefork *p)
{
    for (unsigned i = 0; i < p->file_count; i++) {
        pf_fd_close(&p->files[i].held);
        free(p->files[i].path);
    }
    free(p->files);
    p->files = NULL;
    p->file_count = 0;
}
