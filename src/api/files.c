/* Which files the server is made of, for auto_reload_check_every.
 *
 * Each is noted as it was when it was loaded, which is before any hook of a running server:
 * the executable when the server is made, a config file while it is open to be read, a
 * shared object or a program when it is found. What happens to them afterwards is a
 * change, however long it takes until somebody looks.
 *
 * Paths are made absolute, since the working directory moves. Whether the files are
 * watched at all is settled later, by a setting. */
#include "api/server.h"
#include "base/text.h"
#include "os/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DELETED " (deleted)"

static char *
absolute(const char *path)
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

/* One that is read twice counts as it was the last time. */
int
pf_files_note(struct prefork *p, enum pf_file_role role, const char *path,
              const struct pf_identity *identity)
{
    struct pf_file *files;
    char *copy = absolute(path);

    if (!copy)
        return pf_error_set(&p->error, PREFORK_EXIT_SYSTEM, ENOMEM, "out of memory");
    for (unsigned i = 0; i < p->file_count; i++) {
        if (p->files[i].role == role && strcmp(p->files[i].path, copy) == 0) {
            p->files[i].loaded = *identity;
            free(copy);
            return 0;
        }
    }
    files = realloc(p->files, (p->file_count + 1) * sizeof *files);
    if (!files) {
        free(copy);
        return pf_error_set(&p->error, PREFORK_EXIT_SYSTEM, ENOMEM, "out of memory");
    }
    p->files = files;
    p->files[p->file_count++] = (struct pf_file){role, copy, *identity};
    return 0;
}

/* The kernel knows the path also of a program that was renamed since, and says if it was
 * replaced: then it is not what runs here. */
int
pf_files_note_executable(struct prefork *p)
{
    struct pf_identity identity = {0};
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    size_t mark = sizeof DELETED - 1;

    if (n <= 0)
        return 0; /* no /proc: nothing to watch */
    path[n] = '\0';
    if ((size_t)n > mark && strcmp(path + n - mark, DELETED) == 0)
        path[(size_t)n - mark] = '\0';
    else
        pf_watch_identify(path, &identity);
    return pf_files_note(p, PF_FILE_EXECUTABLE, path, &identity);
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
        if (!is_served(p, f->role))
            continue;
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
    for (unsigned i = 0; i < p->file_count; i++)
        free(p->files[i].path);
    free(p->files);
    p->files = NULL;
    p->file_count = 0;
}
