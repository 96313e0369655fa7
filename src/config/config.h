/* The frozen result of all settings: what the other rooms get to see.
 *
 * Text becomes values once. Sources (defaults, file, command line, calls) fill a
 * struct pf_settings (config/setting.h); pf_config_freeze() checks it as a whole and
 * produces the types that the consuming rooms own. Nobody downstream reads settings. */
#ifndef PF_CONFIG_CONFIG_H
#define PF_CONFIG_CONFIG_H

#include "base/attr.h"
#include "base/error.h"
#include "core/policy.h"
#include "core/reload.h"
#include "log/target.h"
#include "net/endpoint.h"
#include "worker/recipe.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct pf_access;
struct pf_settings;

enum {
    PF_CONFIG_ENDPOINTS_MAX = 64,
    PF_CONFIG_GROUPS_MAX = 64,
    PF_CONFIG_FILES_MAX = 64,
};

/* What the starting process itself needs: the part that is neither pool, door nor worker.
 */
struct pf_daemon {
    bool background;       /* leave the terminal; the starter reports success when ready */
    bool setsid;           /* background, with a session of its own */
    bool inet;             /* serve one connection, on descriptors 0 and 1 */
    bool alone;            /* no workers: this process does the work */
    bool keeper;           /* a process of its own holds what the master owns ... */
    bool fdstore;          /* ... or the service manager does */
    bool reload_workers;   /* a reload replaces workers and not the program */
    bool require_root;     /* refuse to start otherwise */
    const char *pid_file;  /* NULL: none; borrowed from the settings */
    const char *lock_file; /* of serialize; NULL: none; borrowed */
    struct pf_log_target log; /* its texts are borrowed */
    const char *access_log;   /* path; NULL: none; borrowed */
    int log_level;            /* 0 to 4 */
    const char *chroot;       /* NULL: none; borrowed */
    bool has_umask;           /* umask below was set; otherwise it stays the starter's */
    mode_t umask;
    const char *scoreboard_path; /* NULL: none; borrowed */
};

struct pf_config {
    struct pf_policy policy;
    struct pf_recipe recipe; /* app, program and handler are the caller's to fill before */
    struct pf_daemon daemon;
    struct pf_reload reload;   /* its files are the caller's to fill before */
    bool endpoints_by_default; /* no port was set: inherited sockets replace the default */
    unsigned endpoint_count;
    struct pf_endpoint endpoints[PF_CONFIG_ENDPOINTS_MAX];
    gid_t groups[PF_CONFIG_GROUPS_MAX];
    struct pf_access *access; /* owned; NULL: everybody may come in */
    unsigned chown_file_count;
    const char *chown_files[PF_CONFIG_FILES_MAX]; /* borrowed from the settings */
    const struct pf_settings *settings; /* borrowed; for pf_config_blame() alone */
};

/* Told to the person when a default was adapted to a value that was set:
 * "min_servers: 5 lowered to 3 (max_servers 3 at x.conf:4)". */
typedef void pf_config_note(void *context, const char *text);

/* Check the settings as a whole and produce the values. config->recipe.handler must be
 * set by the caller before (defaults depend on it). Defaults that were not set adapt to
 * those that were, each adaption told through note (may be NULL). A contradiction between
 * set values is an error that names both with their origins.
 *
 * 0, or a negative errno with the sentence and PREFORK_EXIT_CONFIG in error. */
PF_MUST_USE int pf_config_freeze(struct pf_settings *settings, struct pf_config *config,
                                 pf_config_note *note, void *context,
                                 struct pf_error *error);

/* The sentence in error is about the value of this setting (entry index of a list; 0 of
 * any other): if that stands in a file, put "x.conf:4: " in front of the sentence. */
void pf_config_blame(const struct pf_config *config, const char *key, unsigned index,
                     struct pf_error *error);

/* Give back what freezing made; a config of zeros is fine. */
void pf_config_close(struct pf_config *config);

/* Print every setting as `key value  # origin`, lists one line each, in the file's own
 * grammar, so that the output can be loaded again. */
void pf_config_print(const struct pf_settings *settings, FILE *to);

#endif
