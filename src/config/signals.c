/* Which signals sig_passthrough may name.
 *
 * Every signal can be passed on whose arrival in the master means nothing that has to stay
 * there alone: not those that end the server, since workers are ended in their turn; not
 * those that cannot be caught, that tell of a fault in the very process that gets them, or
 * that the master has for itself (CHLD, PIPE). HUP, USR1, USR2, TTIN and TTOU are passed on
 * and keep their meaning to the master. */
#include "config/signals.h"

#include <prefork/prefork.h>

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    NAME_BYTES = 32,
    LAST_NAMED = 31,
};

#define SEPARATORS ", \t"

static const int kept[] = {
    SIGTERM, SIGINT,  SIGQUIT, SIGKILL, SIGSTOP, SIGCHLD, SIGPIPE,
    SIGILL,  SIGTRAP, SIGABRT, SIGBUS,  SIGFPE,  SIGSEGV, SIGSYS,
};

/* 0: there is none. */
static int
by_number(const char *name)
{
    char *end;
    long number = strtol(name, &end, 10);

    if (*end != '\0' || number < 1 || number > SIGRTMAX ||
        (number > LAST_NAMED && number < SIGRTMIN))
        return 0;
    return (int)number;
}

static int
by_name(const char *name)
{
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (int signum = 1; signum <= LAST_NAMED; signum++) {
        const char *known = sigabbrev_np(signum);
        if (known && strcasecmp(known, name) == 0)
            return signum;
    }
    return 0;
}

static bool
is_kept(int signum)
{
    for (size_t i = 0; i < PF_COUNT(kept); i++) {
        if (kept[i] == signum)
            return true;
    }
    return false;
}

static int
add(const char *name, uint64_t *set, struct pf_error *error)
{
    int signum = by_number(name);

    if (signum == 0)
        signum = by_name(name);
    if (signum == 0)
        return pf_error_set(
            error, PREFORK_EXIT_CONFIG, EINVAL,
            "there is no signal \"%s\"; names are those of kill -l, with or "
            "without SIG, or numbers",
            name);
    if (is_kept(signum))
        return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL,
                            "SIG%s cannot be passed on: its meaning is fixed",
                            sigabbrev_np(signum));
    *set |= (uint64_t)1 << (signum - 1);
    return 0;
}

int
pf_signals_parse(const char *text, uint64_t *set, struct pf_error *error)
{
    uint64_t found = *set;
    char name[NAME_BYTES];
    size_t length;

    text += strspn(text, SEPARATORS);
    if (*text == '\0')
        return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL, "no signal is named");
    for (; *text != '\0'; text += length, text += strspn(text, SEPARATORS)) {
        int r;
        length = strcspn(text, SEPARATORS);
        if (length >= sizeof name)
            return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL,
                                "no signal has a name as long as \"%.40s\"", text);
        memcpy(name, text, length);
        name[length] = '\0';
        r = add(name, &found, error);
        if (r < 0)
            return r;
    }
    *set = found;
    return 0;
}
