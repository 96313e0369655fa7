/* Titles.
 *
 * What ps(1) shows is memory of the process: the arguments, and behind them the environment
 * (proc(5), /proc/pid/cmdline). A title is written over both, which are copied before, and
 * so are glibc's names of the program, which point there. glibc calls the constructors of a
 * shared library with main's three arguments, so the program does not have to pass them on,
 * and finds the copies.
 *
 * The kernel shows all arguments, unless their last byte is not zero: then it shows the
 * first string, as far as that goes. So a title that ends before there has a full stop at
 * the very end.
 *
 * A worker formats nothing: its title is written in pieces, and its state changes in place,
 * twice per connection. This is our own code and not libbsd's setproctitle(3), because each
 * library that a server has is copied by each fork (docs/notes/0012). */
#include "os/title.h"

#include "base/attr.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    STATE_BYTES = 4,
    NAME_BYTES = 16, /* that the kernel keeps */
};

static const char state_words[][STATE_BYTES] = {
    [PF_TITLE_INIT] = {'i', 'n', 'i', 't'},
    [PF_TITLE_IDLE] = {'i', 'd', 'l', 'e'},
    [PF_TITLE_BUSY] = {'b', 'u', 's', 'y'},
};

static char *title;                    /* where argv[0] was; NULL: there are none */
static char *last;                     /* the last byte of the arguments */
static char *end;                      /* one past the last byte there may be */
static char *state_word PF_PER_WORKER; /* in the title, or NULL */
static char short_name[NAME_BYTES];    /* the kernel has it, in children too */

/* ---- room ------------------------------------------------------------------------------
 */

/* One past the last string of those that follow at once upon `from`. */
static char *
find_end(char **strings, char *from)
{
    for (unsigned i = 0; strings && strings[i]; i++) {
        if (strings[i] != from)
            break;
        from += strlen(from) + 1;
    }
    return from;
}

static void
free_strings(char **strings)
{
    for (size_t i = 0; strings && strings[i]; i++)
        free(strings[i]);
    free(strings);
}

/* All of them and the array, or NULL. */
static char **
copy_strings(char **strings)
{
    size_t count = 0;
    char **copy;

    while (strings[count])
        count++;
    copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = strdup(strings[i]);
        if (!copy[i]) {
            free_strings(copy);
            return NULL;
        }
    }
    return copy;
}

/* True: environ and all that it leads to are copies. */
static bool
move_environment(void)
{
    char **copy = environ ? copy_strings(environ) : NULL;

    if (copy)
        environ = copy;
    return copy != NULL;
}

static bool
move_arguments(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        char *copy = strdup(argv[i]);
        if (!copy)
            return false;
        argv[i] = copy;
    }
    return true;
}

static bool
move_names(void)
{
    char *name = strdup(program_invocation_name);
    char *slash = name ? strrchr(name, '/') : NULL;

    if (!name)
        return false;
    program_invocation_name = name;
    program_invocation_short_name = slash ? slash + 1 : name;
    return true;
}

__attribute__((constructor)) static void
prepare(int argc, char **argv, char **envp)
{
    char *begin = argc > 0 ? argv[0] : NULL;
    char *args_end = begin ? find_end(argv, begin) : NULL;
    char *env_end = begin ? find_end(envp, args_end) : NULL;

    if (!begin || !move_names() || !move_arguments(argc, argv))
        return;
    title = begin;
    last = args_end - 1;
    end = move_environment() ? env_end : args_end;
}

/* ---- writing ---------------------------------------------------------------------------
 */

/* As much of it as fits, before the byte that ends a title: where the next piece goes. */
static char *
put(char *at, const char *text)
{
    size_t room = (size_t)(end - 1 - at);
    size_t length = strnlen(text, room);

    memcpy(at, text, length);
    return at + length;
}

static void
finish(char *at)
{
    *at = '\0';
    if (at < last && *last != '.') /* a page that is not written stays shared */
        *last = '.';
}

static void
name_process(const char *name)
{
    if (strncmp(short_name, name, NAME_BYTES - 1) == 0)
        return;
    (void)prctl(PR_SET_NAME, name);
    memset(short_name, '\0', sizeof short_name);
    memcpy(short_name, name, strnlen(name, NAME_BYTES - 1));
}

void
pf_title_set(const char *name, const char *text)
{
    state_word = NULL;
    if (title)
        finish(put(put(put(title, name), ": "), text));
    name_process(name);
}

void
pf_title_set_worker(const char *name, const char *role)
{
    char *word;
    char *at;

    state_word = NULL;
    if (title) {
        word = put(put(put(put(title, name), ": "), role), " ");
        at = put(word, "init");
        finish(at);
        state_word = at - word == STATE_BYTES ? word : NULL;
    }
    name_process(name);
}

void
pf_title_state(enum pf_title_state state)
{
    if (state_word)
        memcpy(state_word, state_words[state], STATE_BYTES);
}
