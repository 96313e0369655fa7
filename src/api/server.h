/* What is behind the public `struct prefork`. */
#ifndef PF_API_SERVER_H
#define PF_API_SERVER_H

#include "base/attr.h"
#include "base/error.h"
#include "base/identity.h"
#include "config/config.h"
#include "config/setting.h"
#include "link/state.h"
#include "master/startup.h"
#include "net/listener.h"
#include <prefork/prefork.h>

/* A file that the server is made of. */
struct pf_file {
    enum pf_file_role role;
    char *path; /* absolute, given */
    struct pf_identity loaded;
    int held; /* what was loaded, whatever becomes of its path; -1: not held */
};

struct prefork {
    struct prefork_app app;
    struct pf_settings *settings;
    struct pf_config config;
    struct pf_listeners listeners;
    struct pf_error error;
    char *name;            /* given */
    char *const *argv;     /* of the program, borrowed; NULL: the app has functions */
    char *program;         /* resolved path, given; NULL until found */
    struct pf_file *files; /* given */
    unsigned file_count;
    bool in_configure; /* configure_hook runs: values have the lowest rank */
    bool configured;   /* configure_hook ran and the config file was read */
    bool frozen;       /* config is what the settings say */
    bool running;
};

/* files.c: note a file (the path is copied) as it was when it was loaded, with a descriptor
 * of what was (consumed, also on failure; -1: none); the executable, as it is now; list
 * those that make the server in p->config.reload, whose `every` is settled. 0 or a negative
 * errno with the sentence in p->error. */
PF_MUST_USE int pf_files_note(struct prefork *p, enum pf_file_role role, const char *path,
                              const struct pf_identity *identity, int held);
PF_MUST_USE int pf_files_note_executable(struct prefork *p);
PF_MUST_USE int pf_files_list(struct prefork *p);
void pf_files_free(struct prefork *p);

/* files.c: what a server that has to come back holds of its files. */
void pf_files_hold(const struct prefork *p, struct pf_held *ret_held);

/* module.c: load a shared object and take its app over the present one. 0, or a negative
 * errno with the sentence in p->error. The object stays loaded for good. */
PF_MUST_USE int pf_module_load(struct prefork *p, const char *path);

#endif
