/* Libraries that are loaded when they are needed, by their names of the dynamic linker.
 *
 * The linker looks where it looks for the libraries of every program, so nothing here
 * trusts a path of the environment more than the start of the process did. */
#include "os/part.h"

#include <prefork/prefork.h>

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

enum {
    SYMBOLS_MAX = 16,
};

static int
refuse(struct pf_error *error)
{
    return pf_error_set(error, PREFORK_EXIT_SYSTEM, ELIBACC, "%s", dlerror());
}

int
pf_part_load(const char *library, const struct pf_part_symbol symbols[], size_t count,
             struct pf_error *error)
{
    void *found[SYMBOLS_MAX];
    void *object = dlopen(library, RTLD_NOW | RTLD_LOCAL);

    PF_ASSERT(count <= SYMBOLS_MAX);
    if (!object)
        return refuse(error);
    for (size_t i = 0; i < count; i++) {
        found[i] = dlsym(object, symbols[i].name);
        if (!found[i])
            return refuse(error);
    }
    for (size_t i = 0; i < count; i++)
        memcpy(symbols[i].pointer, &found[i], sizeof found[i]);
    return 0;
}
