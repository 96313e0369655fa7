/* A shared object as the handler.
 *
 * The object defines one symbol, prefork_module, by the macro PREFORK_MODULE. It is never
 * unloaded: workers run its code. All symbols are resolved at once, so that a missing
 * function is an error of the start and not of the first request. */
#include "api/server.h"
#include "base/text.h"
#include "master/takeover.h"
#include "os/watch.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
refuse(struct prefork *p, const char *path, const char *why)
{
    return pf_error_set(&p->error, PREFORK_EXIT_CONFIG, EINVAL, "%s: %s", path, why);
}

/* dlopen(3) looks for a name without a slash in the library path; we mean a file. One that
 * is held has a path in /proc. */
static void *
open_object(const char *path, int held)
{
    char relative[PATH_MAX];

    if (held >= 0) {
        (void)snprintf(relative, sizeof relative, "/proc/self/fd/%d", held);
        return dlopen(relative, RTLD_NOW | RTLD_LOCAL);
    }
    if (strchr(path, '/'))
        return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    (void)snprintf(relative, sizeof relative, "./%s", path);
    return dlopen(relative, RTLD_NOW | RTLD_LOCAL);
}

/* The object's name, if its app has one, goes before its file's. */
static void
adopt(struct prefork *p, const struct prefork_module *module)
{
    size_t size = module->app_size < sizeof p->app ? module->app_size : sizeof p->app;
    char *name = module->app->name ? pf_text_copy(module->app->name) : NULL;

    p->app = (struct prefork_app){0};
    memcpy(&p->app, module->app, size);
    if (name) {
        free(p->name);
        p->name = name;
    }
    p->argv = NULL; /* functions from here on */
}

int
pf_module_load(struct prefork *p, const char *path)
{
    const struct prefork_module *module;
    struct pf_identity identity;
    char why[160];
    void *object;
    int held = pf_takeover_held(PF_FILE_PROGRAM, path);
    int fd = held < 0 ? open(path, O_RDONLY | O_CLOEXEC) : fcntl(held, F_DUPFD_CLOEXEC, 3);

    pf_watch_identify(path, &identity);
    if (fd < 0)
        return pf_error_set(&p->error, PREFORK_EXIT_CONFIG, errno, "%s: %s", path,
                            strerror(errno));
    if (pf_files_note(p, PF_FILE_PROGRAM, path, &identity, fd) < 0)
        return -ENOMEM;
    object = open_object(path, held);
    if (!object)
        return refuse(p, path, dlerror());
    module = dlsym(object, "prefork_module");
    if (!module)
        return refuse(p, path,
                      "no symbol prefork_module: put PREFORK_MODULE(app) into its source");
    if (module->abi != PREFORK_ABI) {
        (void)snprintf(why, sizeof why,
                       "built for ABI %d of prefork, this is ABI %d: build it again",
                       module->abi, PREFORK_ABI);
        return refuse(p, path, why);
    }
    if (!module->app || module->app_size == 0)
        return refuse(p, path, "prefork_module names no app");
    adopt(p, module);
    return 0;
}
