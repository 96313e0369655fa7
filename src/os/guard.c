/* A page of a file that may be cut away.
 *
 * Whoever has a file mapped and writes where the file has come to an end meanwhile, or
 * where its disk has failed, gets SIGBUS, which ends a process. So a handler puts private
 * memory in the place of the page, and the write that failed is done again, there: whoever
 * wrote does not notice, and whoever looks into the file sees no more of it.
 *
 * Every other SIGBUS is somebody else's. The handler puts back what was there before it and
 * lets the same thing happen again: a fault comes again by itself when the handler returns,
 * a signal that was sent is sent once more. A handler that the program installs later
 * replaces this one, and with it what it does.
 *
 * The page is not sealed by mseal(2), as a worker's page on the board is: a sealed page
 * cannot be replaced (docs/notes/0008). */
#include "os/guard.h"

#include "os/share.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

static struct {
    void *page;
    size_t bytes;
    struct sigaction before;
} guarded;

static bool
is_inside(const void *address)
{
    return (uintptr_t)address - (uintptr_t)guarded.page < guarded.bytes;
}

/* mmap(2) is not in the list of signal-safety(7), but is a plain system call here. */
static bool
replace_page(void)
{
    return mmap(guarded.page, guarded.bytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

static void
on_fault(int signum, siginfo_t *info, void *context)
{
    const int kept_errno = errno;
    bool sent = info->si_code <= 0; /* by a process, not by the kernel for a fault */

    (void)context;
    if (sent || !is_inside(info->si_addr) || !replace_page()) {
        (void)sigaction(signum, &guarded.before, NULL);
        if (sent)
            (void)raise(signum); /* waits until this handler has returned */
    }
    errno = kept_errno;
}

void *
pf_guard_page(int fd, size_t index)
{
    struct sigaction guard = {.sa_sigaction = on_fault,
                              .sa_flags = SA_SIGINFO | SA_ONSTACK};
    size_t bytes = pf_share_page_bytes();
    void *page =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(index * bytes));

    bool is_first = !guarded.page;

    if (page == MAP_FAILED)
        return NULL;
    guarded.page = page;
    guarded.bytes = bytes;
    (void)sigemptyset(&guard.sa_mask);
    if (is_first) /* or the handler would find itself before it */
        (void)sigaction(SIGBUS, &guard, &guarded.before);
    return page;
}
