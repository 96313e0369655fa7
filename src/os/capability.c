/* Capabilities.
 *
 * Names are those of libcap, which is loaded for the first of them. Sets are read and
 * written by the system calls themselves, as masks, so a server that names none carries no
 * library for them into every fork. A capability that the kernel does not have is no name.
 *
 * Giving up is always allowed, so it needs no order and no way back: the three sets are
 * written at once and read back. With nothing inheritable the kernel empties the ambient
 * set by itself, so a program that is started later begins without any. Only the next
 * program of the master itself is to have them: for that one execve(2) they are ambient.
 *
 * Only the calling thread is changed. That is why this belongs to the start, where there is
 * one thread, and to the birth of a worker.
 *
 * Deliberately absent: the bounding set, which decides what a set-user-id program may get,
 * and securebits. Both stay as whoever started the server had them. */
#include "os/capability.h"

#include "os/part.h"

#include <errno.h>
#include <stddef.h>
#include <strings.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LIBRARY "libcap.so.2"

static struct {
    __typeof__(&cap_from_name) from_name;
    __typeof__(&cap_to_name) to_name;
    __typeof__(&cap_free) free;
} libcap;

static const struct pf_part_symbol symbols[] = {
    {"cap_from_name", &libcap.from_name},
    {"cap_to_name", &libcap.to_name},
    {"cap_free", &libcap.free},
};

static int
load(struct pf_error *error)
{
    return libcap.from_name
               ? 0
               : pf_part_load(LIBRARY, symbols, sizeof symbols / sizeof symbols[0], error);
}

static bool
is_supported(cap_value_t value)
{
    return prctl(PR_CAPBSET_READ, (unsigned long)value, 0UL, 0UL, 0UL) >= 0;
}

int
pf_capability_find(const char *name, uint64_t *ret_bit, struct pf_error *error)
{
    cap_value_t value;
    char *whole;
    bool same;
    int r = load(error);

    if (r < 0)
        return r;
    if (libcap.from_name(name, &value) < 0 || !is_supported(value))
        return PF_CAPABILITY_E_NO_NAME;
    /* libcap takes bare numbers too, and stops reading where a name cannot go on. */
    whole = libcap.to_name(value);
    same = whole && strcasecmp(whole, name) == 0;
    (void)libcap.free(whole); /* fails only for what is none of libcap's */
    if (!same)
        return PF_CAPABILITY_E_NO_NAME;
    *ret_bit = (uint64_t)1 << value;
    return 0;
}

/* The kernel takes and gives a mask in two halves. */
enum {
    HALVES = _LINUX_CAPABILITY_U32S_3,
};

static struct __user_cap_header_struct
header(void)
{
    return (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3};
}

int
pf_capability_read(struct pf_capabilities *ret_capabilities)
{
    struct __user_cap_header_struct head = header();
    struct __user_cap_data_struct data[HALVES] = {0};

    if (syscall(SYS_capget, &head, data) < 0)
        return -errno;
    *ret_capabilities = (struct pf_capabilities){
        .permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted,
        .effective = (uint64_t)data[1].effective << 32 | data[0].effective,
        .inheritable = (uint64_t)data[1].inheritable << 32 | data[0].inheritable,
    };
    return 0;
}

bool
pf_capability_has(uint64_t mask)
{
    struct pf_capabilities now = {0};

    return pf_capability_read(&now) == 0 && (now.effective & mask) == mask;
}

int
pf_capability_keep(bool on)
{
    return prctl(PR_SET_KEEPCAPS, on ? 1UL : 0UL, 0UL, 0UL, 0UL) < 0 ? -errno : 0;
}

/* The mask permitted and in effect, nothing to inherit. */
static int
write_set(uint64_t mask)
{
    struct __user_cap_header_struct head = header();
    struct __user_cap_data_struct data[HALVES] = {
        {.permitted = (uint32_t)mask, .effective = (uint32_t)mask},
        {.permitted = (uint32_t)(mask >> 32), .effective = (uint32_t)(mask >> 32)},
    };

    return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

/* What is permitted becomes inheritable, or nothing does. */
static int
write_inheritable(const struct pf_capabilities *now, uint64_t mask)
{
    struct __user_cap_header_struct head = header();
    struct __user_cap_data_struct data[HALVES] = {
        {.permitted = (uint32_t)now->permitted,
         .effective = (uint32_t)now->effective,
         .inheritable = (uint32_t)mask},
        {.permitted = (uint32_t)(now->permitted >> 32),
         .effective = (uint32_t)(now->effective >> 32),
         .inheritable = (uint32_t)(mask >> 32)},
    };

    return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

/* What cannot be raised (securebits) is missed by the program, which says so. */
static void
raise_ambient(uint64_t mask)
{
    for (unsigned long i = 0; i < 64; i++) {
        if (mask >> i & 1)
            (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0UL, 0UL);
    }
}

bool
pf_capability_pass_on(bool on)
{
    struct pf_capabilities now = {0};

    if (geteuid() == 0 || pf_capability_read(&now) < 0 || now.permitted == 0)
        return false;
    if (on && now.inheritable != 0)
        return false;
    if (write_inheritable(&now, on ? now.permitted : 0) < 0)
        return false;
    if (on)
        raise_ambient(now.permitted);
    return true;
}

int
pf_capability_limit(uint64_t mask)
{
    struct pf_capabilities now = {0};
    int r = write_set(mask);

    if (r == 0)
        r = pf_capability_read(&now);
    if (r < 0)
        return r;
    return now.permitted == mask && now.effective == mask && now.inheritable == 0 ? 0
                                                                                  : -EPERM;
}
