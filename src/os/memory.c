/* Anonymous private mappings. */
#include "os/memory.h"

#include <sys/mman.h>

void *
pf_memory_new(size_t bytes)
{
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void *
pf_memory_new_own(size_t bytes)
{
    void *memory = pf_memory_new(bytes);

    if (memory)
        pf_memory_inherit(memory, bytes, false);
    return memory;
}

/* It can fail only for what is no such memory. */
void
pf_memory_inherit(void *memory, size_t bytes, bool on)
{
    (void)madvise(memory, bytes, on ? MADV_DOFORK : MADV_DONTFORK);
}

void
pf_memory_free(void *memory, size_t bytes)
{
    if (memory)
        (void)munmap(memory, bytes);
}
