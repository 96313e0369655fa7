/* Titles by libbsd's setproctitle(3).
 *
 * setproctitle_init(3bsd) needs main's three arguments. A shared library gets them from
 * glibc's ELF constructor call, so the program does not have to pass them on. The title
 * lives where argv[0] was; knowing that, a worker changes its state in place instead of
 * formatting its whole title twice per connection. Where the title is not found there,
 * titles simply do not show the state. */
#include "os/title.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include <bsd/unistd.h>

#define STATE_BYTES 4

static const char state_words[][STATE_BYTES] = {
    [PF_TITLE_INIT] = {'i', 'n', 'i', 't'},
    [PF_TITLE_IDLE] = {'i', 'd', 'l', 'e'},
    [PF_TITLE_BUSY] = {'b', 'u', 's', 'y'},
};

static char *title;      /* where argv[0] was */
static char *title_end;  /* one past the last of the arguments that were there */
static char *state_word; /* in the title, or NULL */

__attribute__((constructor)) static void
prepare(int argc, char **argv, char **envp)
{
    if (argc > 0 && argv[0]) {
        title = argv[0];
        title_end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
        setproctitle_init(argc, argv, envp);
    }
}

/* libbsd puts a blank behind a title that is exactly as long as argv[0] was, and leaves
 * what was behind one that is shorter than the arguments. A byte that is not zero at their
 * very end makes the kernel show the first string alone (proc(5), /proc/pid/cmdline). */
static void
clear_rest(size_t length)
{
    char *end = title ? title + strnlen(title, length) : NULL;

    if (end && end < title_end)
        *end = '\0';
    if (end && end + 1 < title_end) {
        memset(end, '\0', (size_t)(title_end - end));
        title_end[-1] = '.';
    }
}

void
pf_title_set(const char *name, const char *text)
{
    state_word = NULL;
    setproctitle("-%s: %s", name, text);
    clear_rest(strlen(name) + strlen(": ") + strlen(text));
    (void)prctl(PR_SET_NAME, name);
}

void
pf_title_set_worker(const char *name, const char *role)
{
    char expected[256];
    char text[64];
    int length = snprintf(expected, sizeof expected, "%s: %s init", name, role);

    (void)snprintf(text, sizeof text, "%s init", role);
    pf_title_set(name, text);
    if (title && length > 0 && (size_t)length < sizeof expected &&
        strcmp(title, expected) == 0)
        state_word = title + length - STATE_BYTES;
}

void
pf_title_state(enum pf_title_state state)
{
    if (state_word)
        memcpy(state_word, state_words[state], STATE_BYTES);
}
