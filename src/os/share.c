/* Shared memory: one piece for everybody, and pages of which a child gets one.
 *
 * The pages are one memfd(2), mapped as a whole by the opener in a single mapping that
 * children do not inherit (MADV_DONTFORK): what fork(2) copies does not grow with the
 * number of pages. A child maps its own page from the descriptor and closes that. Then a
 * stray pointer cannot reach a neighbour: nothing of the others is in its address space.
 *
 * Code that means harm could still grow its one mapping over the following pages with
 * mremap(2). mseal(2), where the kernel has it (Linux 6.10), takes that away; on older
 * ones it remains, and docs/notes/0001 says what it could be used for (little: the master
 * believes nothing that stands there).
 *
 * Memory is made by pwrite(2), which can fail, and not by touching it, which would end the
 * process with SIGBUS when none is left. */
#include "os/share.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462 /* the same on every architecture; not in Debian 12's headers */
#endif

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

size_t
pf_share_page_bytes(void)
{
    static size_t bytes;

    if (bytes == 0)
        bytes = (size_t)sysconf(_SC_PAGESIZE);
    return bytes;
}

/* Nobody can cut away what others have mapped. It can grow, which harms nobody. */
static int
make_object(const char *name, size_t bytes)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)bytes) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
        int errnum = errno;
        pf_fd_close(&fd);
        return -errnum;
    }
    return fd;
}

/* It is one of ours, so far as that can be seen: sealed like them, and at least so large,
 * which is made true where more pages are wanted than there were. */
static int
check_object(int fd, size_t bytes)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st;

    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0)
        return -EBADF;
    if ((size_t)st.st_size < bytes && ftruncate(fd, (off_t)bytes) < 0)
        return -errno;
    return 0;
}

static int
map_object(int fd, size_t bytes, void **ret_memory)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (memory == MAP_FAILED)
        return -errno;
    *ret_memory = memory;
    return 0;
}

/* Memory that could not be had must be known here, and not when it is touched. */
static int
fill_object(int fd, size_t bytes)
{
    return fallocate(fd, 0, 0, (off_t)bytes) < 0 ? -errno : 0;
}

static int
take(struct pf_share_object *share, int fd, size_t bytes)
{
    int r;

    *share = (struct pf_share_object){.fd = fd, .bytes = bytes};
    r = fill_object(fd, bytes);
    return r < 0 ? r : map_object(fd, bytes, &share->memory);
}

int
pf_share_object_open(struct pf_share_object *share, size_t bytes)
{
    int fd = make_object("prefork-hints", bytes);

    *share = (struct pf_share_object){.fd = -1};
    return fd < 0 ? fd : take(share, fd, bytes);
}

int
pf_share_object_adopt(struct pf_share_object *share, int fd, size_t bytes)
{
    int r = check_object(fd, bytes);

    *share = (struct pf_share_object){.fd = fd};
    return r < 0 ? r : take(share, fd, bytes);
}

void
pf_share_object_close(struct pf_share_object *share)
{
    if (share->memory)
        (void)munmap(share->memory, share->bytes);
    share->memory = NULL;
    pf_fd_close(&share->fd);
}

static int
map_pages(struct pf_share_pages *pages)
{
    size_t bytes = pages->count * pf_share_page_bytes();
    void *memory = NULL;
    int r = map_object(pages->fd, bytes, &memory);

    if (r < 0)
        return r;
    pages->memory = memory;
    return madvise(memory, bytes, MADV_DONTFORK) < 0 ? -errno : 0;
}

int
pf_share_pages_open(struct pf_share_pages *pages, size_t count)
{
    *pages = (struct pf_share_pages){
        .fd = make_object("prefork-board", count * pf_share_page_bytes()),
        .count = count,
    };
    return pages->fd < 0 ? pages->fd : map_pages(pages);
}

int
pf_share_pages_adopt(struct pf_share_pages *pages, int fd, size_t count)
{
    int r = check_object(fd, count * pf_share_page_bytes());

    *pages = (struct pf_share_pages){.fd = fd, .count = count};
    return r < 0 ? r : map_pages(pages);
}

void
pf_share_pages_close(struct pf_share_pages *pages)
{
    if (pages->memory)
        (void)munmap(pages->memory, pages->count * pf_share_page_bytes());
    pages->memory = NULL;
    pf_fd_close(&pages->fd);
}

void *
pf_share_page(const struct pf_share_pages *pages, size_t index)
{
    PF_ASSERT(index < pages->count);
    return pages->memory + index * pf_share_page_bytes();
}

static off_t
offset_of(size_t index)
{
    return (off_t)(index * pf_share_page_bytes());
}

int
pf_share_page_clear(struct pf_share_pages *pages, size_t index)
{
    static const char zeros[512]; /* more than anybody keeps in a page */
    ssize_t n = pwrite(pages->fd, zeros, sizeof zeros, offset_of(index));

    return n < 0 ? -errno : 0;
}

void *
pf_share_page_claim(int fd, size_t index)
{
    size_t bytes = pf_share_page_bytes();
    void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
                      offset_of(index));

    if (page == MAP_FAILED)
        return NULL;
    (void)syscall(SYS_mseal, page, bytes, 0UL); /* ENOSYS on older kernels */
    return page;
}
