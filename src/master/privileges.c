/* From whoever started the server to whoever runs it.
 *
 *   check       is the drop permitted at all? Before anything is made
 *   ...         umask, log, pid file, listeners, post_bind_hook
 *   hand over   log file, pid file, chown_files (unix sockets were at their birth)
 *   chroot      with the right to, and chdir("/")
 *   drop        groups, group, user, capabilities; read back
 *   program     can it still be run, from here, by this user?
 *
 * Each step needs the rights that the next one takes. Nothing of it is undone: a start that
 * fails here ends the process.
 *
 * A server that already is whom it should become hands nothing over: files are its own, or
 * were given to it by somebody who knows why. */
#include "master/privileges.h"

#include "log/outlet.h"
#include "os/credential.h"
#include "os/handover.h"
#include "os/process.h"
#include "os/root.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct pf_credential_target
target_of(const struct pf_recipe *recipe)
{
    return (struct pf_credential_target){
        .uid = recipe->uid,
        .gid = recipe->gid,
        .groups = recipe->groups,
        .count = recipe->group_count,
        .keep = recipe->keep_capabilities,
    };
}

static int
check_root(const struct pf_config *config, bool is_first, struct pf_error *error)
{
    if (is_first && config->daemon.require_root && geteuid() != 0)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, EPERM,
                            "require_root: this server must be started by root");
    return 0;
}

int
pf_privileges_check(const struct pf_config *config, bool is_first, struct pf_error *error)
{
    const struct pf_credential_target target = target_of(&config->recipe);
    int r = check_root(config, is_first, error);

    if (r == 0 && config->recipe.drop_privileges)
        r = pf_credential_check(&target, error);
    return r;
}

/* Logs are handed over as they are open now, and only if they are files at all. */
static int
hand_over_outlets(uid_t uid, gid_t gid, struct pf_error *error)
{
    int r = 0;

    for (unsigned i = 0; i < PF_OUTLET_COUNT && r == 0; i++) {
        const char *key = NULL;
        int fd = -1;
        const char *path = pf_outlet_file((enum pf_outlet)i, &key, &fd);
        if (path)
            r = pf_handover_open_file(key, path, fd, uid, gid, error);
    }
    return r;
}

static int
hand_over(const struct pf_config *config, int pid_fd, struct pf_error *error)
{
    const uid_t uid = config->recipe.uid;
    const gid_t gid = config->recipe.gid;
    int r = hand_over_outlets(uid, gid, error);

    if (r == 0 && pid_fd >= 0)
        r = pf_handover_open_file("pid_file", config->daemon.pid_file, pid_fd, uid, gid,
                                  error);
    for (unsigned i = 0; i < config->chown_file_count && r == 0; i++)
        r = pf_handover_path("chown_files", config->chown_files[i], uid, gid, error);
    return r;
}

/* A master that runs programs looks for those they leave behind, by /proc. */
static int
enter_root(const struct pf_config *config, struct pf_error *error)
{
    int r = config->recipe.program ? pf_process_keep_proc() : 0;

    if (r < 0)
        return pf_error_set(error, PREFORK_EXIT_SYSTEM, -r, "chroot %s: /proc: %s",
                            config->daemon.chroot, strerror(-r));
    return pf_root_enter(config->daemon.chroot, error);
}

static int
drop(const struct pf_config *config, int pid_fd, struct pf_error *error)
{
    const struct pf_credential_target target = target_of(&config->recipe);
    int r = 0;

    if (!pf_credential_is(&target))
        r = hand_over(config, pid_fd, error);
    if (r == 0 && config->daemon.chroot)
        r = enter_root(config, error);
    return r == 0 ? pf_credential_drop(&target, error) : r;
}

int
pf_privileges_drop(const struct pf_config *config, struct pf_error *error)
{
    const struct pf_credential_target target = target_of(&config->recipe);

    return config->recipe.drop_privileges ? pf_credential_drop(&target, error) : 0;
}

/* It was found before, by another user and perhaps under another root. */
static int
check_program(const struct pf_config *config, struct pf_error *error)
{
    const char *program = config->recipe.program;
    const char *root = config->daemon.chroot;

    if (!program || access(program, X_OK) == 0)
        return 0;
    return pf_error_set(error, PREFORK_EXIT_CONFIG, errno,
                        "program %s cannot be run as user %lu%s%s: %s", program,
                        (unsigned long)geteuid(), root ? " inside of chroot " : "",
                        root ? root : "", strerror(errno));
}

int
pf_privileges_give_up(const struct pf_config *config, int pid_fd, struct pf_error *error)
{
    int r = 0;

    if (config->recipe.drop_privileges)
        r = drop(config, pid_fd, error);
    else if (config->daemon.chroot)
        r = enter_root(config, error);
    return r == 0 ? check_program(config, error) : r;
}
