/* The public calls about a server: settings in, checked, run.
 *
 * All of them turn into one call each of the rooms below. What is decided here is only the
 * order in which settings are read: the program's own (configure_hook), then the config
 * file that the command line or the program named, and what the handler is. */
#include "api/server.h"
#include "base/text.h"
#include "config/help.h"
#include "config/load.h"
#include "config/options.h"
#include "log/log.h"
#include "master/startup.h"
#include "master/takeover.h"
#include "os/fd.h"
#include "os/image.h"
#include "os/program.h"
#include "os/root.h"
#include "os/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct prefork *
prefork_new_sized(const struct prefork_app *app, size_t size)
{
    struct prefork *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    memcpy(&p->app, app, size < sizeof p->app ? size : sizeof p->app);
    (void)pf_takeover_find();
    p->settings = pf_settings_new();
    p->name = pf_text_copy(p->app.name ? p->app.name : program_invocation_short_name);
    if (!p->settings || !p->name || pf_files_note_executable(p) < 0) {
        prefork_free(p);
        return NULL;
    }
    return p;
}

void
prefork_free(struct prefork *p)
{
    if (!p)
        return;
    pf_config_close(&p->config);
    pf_log_close();
    pf_settings_free(p->settings);
    pf_files_free(p);
    free(p->program);
    free(p->name);
    free(p);
}

static int
fail(struct prefork *p, int exit_code, int errnum, const char *text)
{
    return pf_error_set(&p->error, exit_code, errnum, "%s", text);
}

static void
forget_error(struct prefork *p)
{
    p->error = (struct pf_error){0};
}

int
prefork_set(struct prefork *p, const char *key, const char *value)
{
    struct pf_origin origin = {
        .kind = p->in_configure ? PF_ORIGIN_PROGRAM : PF_ORIGIN_CALL,
    };

    if (!p->in_configure)
        forget_error(p);
    if (p->running)
        return -EBUSY; /* the sentence is the running server's */
    p->frozen = false;
    return pf_settings_set(p->settings, key, value, &origin, &p->error);
}

int
prefork_args(struct prefork *p, int argc, char **argv, int *ret_used)
{
    int r;

    forget_error(p);
    p->frozen = false;
    r = pf_options_parse(p->settings, argc, argv, ret_used, &p->error);
    if (r == PF_OPTIONS_HELP)
        return PREFORK_ARGS_HELP;
    return r == PF_OPTIONS_VERSION ? PREFORK_ARGS_VERSION : r;
}

/* The program lends its name unless the app has one. */
void
prefork_set_program(struct prefork *p, char *const *argv)
{
    const char *slash = strrchr(argv[0], '/');
    char *name = p->app.name ? NULL : pf_text_copy(slash ? slash + 1 : argv[0]);

    p->argv = argv;
    p->frozen = false;
    if (name) {
        free(p->name);
        p->name = name;
    }
}

/* What the file said when it was good: it may say anything by now. */
static int
load_again(struct prefork *p, const char *path, int held)
{
    struct pf_identity identity;
    int r = pf_load_copy(p->settings, path, held, &p->error);

    pf_watch_identify(path, &identity);
    return r < 0 ? r
                 : pf_files_note(p, PF_FILE_CONFIG, path, &identity,
                                 fcntl(held, F_DUPFD_CLOEXEC, 3));
}

static int
load_file(struct prefork *p, const char *path)
{
    int held = pf_takeover_held(PF_FILE_CONFIG, path);
    struct pf_loaded loaded;
    int r;

    if (held >= 0)
        return load_again(p, path, held);
    r = pf_load_config(p->settings, path, &loaded, &p->error);
    return r < 0 ? r
                 : pf_files_note(p, PF_FILE_CONFIG, path, &loaded.identity, loaded.copy);
}

int
prefork_load(struct prefork *p, const char *path)
{
    forget_error(p);
    p->frozen = false;
    return load_file(p, path);
}

static int
run_configure_hook(struct prefork *p)
{
    int r = 0;

    p->in_configure = true;
    if (p->app.configure_hook)
        r = p->app.configure_hook(p, p->app.data);
    p->in_configure = false;
    if (r != 0 && p->error.exit_code == 0)
        (void)fail(p, PREFORK_EXIT_CONFIG, ECANCELED, "configure_hook refused to start");
    return r == 0 ? 0 : -ECANCELED;
}

static int
load_named_file(struct prefork *p)
{
    const char *path = pf_settings_text(p->settings, PF_SETTING_CONF_FILE);

    return path ? load_file(p, path) : 0;
}

static bool
is_shared_object(const struct prefork *p)
{
    const char *path = p->argv[0];
    size_t length = strlen(path);

    switch (pf_settings_choice(p->settings, PF_SETTING_HANDLER)) {
    case PF_CHOICE_HANDLER_SO: return true;
    case PF_CHOICE_HANDLER_AUTO: return length > 3 && strcmp(path + length - 3, ".so") == 0;
    default: return false;
    }
}

/* The hook of a shared object can only run once the object is loaded, for which the config
 * file may have to be read. Ranks make the order of the two meaningless to values. */
static int
configure(struct prefork *p)
{
    int r = 0;

    if (p->configured)
        return 0;
    r = run_configure_hook(p);
    if (r == 0)
        r = load_named_file(p);
    if (r == 0 && p->argv && is_shared_object(p)) {
        r = pf_module_load(p, p->argv[0]);
        if (r == 0)
            r = run_configure_hook(p);
    }
    p->configured = r == 0;
    return r;
}

static bool
has_functions(const struct prefork *p)
{
    return p->app.main_loop || p->app.process_request;
}

/* What is named by its path is looked for where it will be run; the name stays as it is. */
static int
find_inside(struct prefork *p, const char *name, const char *root)
{
    char path[PATH_MAX];
    char *found;
    int r = -ENAMETOOLONG;

    if (snprintf(path, sizeof path, "%s/%s", root, name) < (int)sizeof path)
        r = pf_program_find(path, &found);
    if (r < 0)
        return pf_error_set(&p->error, PREFORK_EXIT_CONFIG, -r,
                            "program %s: %s inside of chroot %s", name, strerror(-r), root);
    free(found);
    p->program = pf_text_copy(name);
    return p->program ? 0 : fail(p, PREFORK_EXIT_SYSTEM, ENOMEM, "out of memory");
}

static int
look_for_program(struct prefork *p)
{
    const char *root = pf_settings_text(p->settings, PF_SETTING_CHROOT);
    const char *name = p->argv[0];
    int r = root ? pf_root_check(root, &p->error) : 0;

    if (r < 0)
        return r;
    if (root && strchr(name, '/'))
        return find_inside(p, name, root);
    r = pf_program_find(name, &p->program);
    if (r < 0)
        return pf_error_set(&p->error, PREFORK_EXIT_CONFIG, -r, "program %s: %s%s", name,
                            strerror(-r),
                            r == -ENOENT && !strchr(name, '/') ? " in PATH" : "");
    return 0;
}

/* Its path is one of the root directory that it will have. */
static int
note_program(struct prefork *p)
{
    const char *root = pf_settings_text(p->settings, PF_SETTING_CHROOT);
    struct pf_identity identity;
    char path[PATH_MAX];
    int held;

    if (snprintf(path, sizeof path, "%s%s%s", root ? root : "",
                 root && p->program[0] != '/' ? "/" : "", p->program) >= (int)sizeof path)
        return 0; /* find_inside() would have refused it */
    pf_watch_identify(path, &identity);
    held = pf_takeover_held(PF_FILE_PROGRAM, path);
    return pf_files_note(p, PF_FILE_PROGRAM, path, &identity,
                         held < 0 ? open(path, O_RDONLY | O_CLOEXEC)
                                  : fcntl(held, F_DUPFD_CLOEXEC, 3));
}

static int
find_program(struct prefork *p)
{
    int r;

    if (p->program)
        return 0;
    r = look_for_program(p);
    return r < 0 ? r : note_program(p);
}

/* Without anything to run, the settings alone are checked, as if for the handler they
 * name. */
static int
choose_handler(struct prefork *p)
{
    struct pf_recipe *recipe = &p->config.recipe;
    bool waits =
        pf_settings_choice(p->settings, PF_SETTING_HANDLER) == PF_CHOICE_HANDLER_WAIT;

    if (p->argv || !has_functions(p))
        recipe->handler = waits ? PF_HANDLER_WAIT : PF_HANDLER_NOWAIT;
    else
        recipe->handler = p->app.main_loop ? PF_HANDLER_MAIN_LOOP : PF_HANDLER_CALLBACK;
    return p->argv ? find_program(p) : 0;
}

static void
note(void *context, const char *text)
{
    (void)context;
    pf_log(PREFORK_LOG_NOTICE, "%s", text);
}

/* The log speaks for this server from now on. */
static void
speak(const struct prefork *p)
{
    pf_log_open(p->name, (int)pf_settings_number(p->settings, PF_SETTING_LOG_LEVEL),
                p->app.write_to_log_hook, p->app.data);
}

static int
freeze(struct prefork *p)
{
    struct pf_recipe *recipe = &p->config.recipe;
    int r;

    if (p->frozen)
        return 0;
    pf_config_close(&p->config);
    pf_fd_spare_client();
    speak(p);
    r = choose_handler(p);
    if (r < 0)
        return r;
    recipe->app = p->app;
    recipe->name = p->name;
    recipe->program = p->program;
    recipe->program_argv = p->argv;
    r = pf_config_freeze(p->settings, &p->config, note, NULL, &p->error);
    if (r == 0)
        r = pf_files_list(p);
    p->frozen = r == 0;
    return r;
}

int
prefork_check(struct prefork *p)
{
    int r;

    forget_error(p);
    r = configure(p);
    return r < 0 ? r : freeze(p);
}

void
prefork_print(const struct prefork *p, FILE *to)
{
    pf_config_print(p->settings, to);
}

const char *
prefork_get(const struct prefork *p, const char *key)
{
    enum pf_setting_id id;

    return pf_setting_find(key, &id) == 0 ? pf_settings_text(p->settings, id) : NULL;
}

void
prefork_help(FILE *to)
{
    pf_settings_help(to);
}

static int
check_to_run(struct prefork *p)
{
    int r = prefork_check(p);

    if (r == 0 && !p->argv && !has_functions(p))
        return fail(p, PREFORK_EXIT_CONFIG, EINVAL,
                    "nothing to run: neither process_request, main_loop nor a program");
    if (r == 0 && p->app.post_configure_hook &&
        p->app.post_configure_hook(p, p->app.data) != 0)
        r = p->error.exit_code != 0 ? -ECANCELED
                                    : fail(p, PREFORK_EXIT_CONFIG, ECANCELED,
                                           "post_configure_hook refused to start");
    return r < 0 ? r : freeze(p); /* the hook may have set something */
}

static void
run(struct prefork *p)
{
    struct pf_state *from = pf_takeover_take(&p->listeners);
    struct pf_held held;

    pf_files_hold(p, &held);
    (void)pf_startup_run(&(struct pf_startup_setup){.p = p,
                                                    .config = &p->config,
                                                    .listeners = &p->listeners,
                                                    .held = &held,
                                                    .image = pf_image_here(),
                                                    .from = from},
                         &p->error);
}

int
prefork_run(struct prefork *p)
{
    int r;

    if (p->running)
        return PREFORK_EXIT_USAGE;
    r = check_to_run(p);
    if (r == 0)
        r = pf_takeover_check(&p->error);
    speak(p); /* another server may have spoken since this one was checked */
    if (r < 0) {
        pf_takeover_fail(p->error.text);
        pf_startup_fail(&p->app, p->error.text);
        return p->error.exit_code;
    }
    p->running = true;
    forget_error(p); /* of a hook's prefork_set(), with which the start has nothing to do */
    run(p);
    p->running = false;
    return p->error.exit_code;
}

const char *
prefork_error(const struct prefork *p)
{
    return p->error.text;
}

int
prefork_exit_code(const struct prefork *p)
{
    return p->error.exit_code;
}

const char *
prefork_listener_text(const struct prefork *p, unsigned index)
{
    for (unsigned i = 0; i < p->listeners.count; i++) {
        const struct pf_listener *l = &p->listeners.table[i];
        if (l->shard == 0 && index-- == 0)
            return l->address;
    }
    return NULL;
}
