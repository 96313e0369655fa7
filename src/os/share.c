/* Shared anonymous memory, page by page.
 *
 * Each page is a mapping of its own kernel object. That is what makes a worker unable to
 * reach its neighbour's page: it has no descriptor to map one with, the pages of others
 * are not in its address space (MADV_DONTFORK), and growing its own mapping with
 * mremap(2) runs off the end of a one-page object. One object with a page per worker
 * would not have the last property. */
#include "os/share.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

size_t
pf_share_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void *
pf_share_open(size_t bytes)
{
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void
pf_share_close(void *memory, size_t bytes)
{
    if (memory)
        (void)munmap(memory, bytes);
}

void *
pf_share_reserve(size_t count)
{
    void *pages = mmap(NULL, count * pf_share_page_bytes(), PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (pages == MAP_FAILED)
        return NULL;
    (void)madvise(pages, count * pf_share_page_bytes(), MADV_DONTFORK);
    return pages;
}

int
pf_share_fresh_page(void *page)
{
    void *mapped = mmap(page, pf_share_page_bytes(), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    return mapped == MAP_FAILED ? -errno : 0;
}

void
pf_share_keep_from_children(void *page)
{
    (void)madvise(page, pf_share_page_bytes(), MADV_DONTFORK);
}
