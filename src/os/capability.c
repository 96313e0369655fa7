/* Capabilities, by way of libcap.
 *
 * libcap knows the names and the system calls; here its handles become masks, so that the
 * other rooms need to know neither. A capability that the kernel does not have is no name.
 *
 * Giving up is always allowed, so it needs no order and no way back: the three sets are
 * written at once and read back. With nothing inheritable the kernel empties the ambient
 * set by itself, so a program that is started later begins without any.
 *
 * Only the calling thread is changed. That is why this belongs to the start, where there is
 * one thread, and to the birth of a worker.
 *
 * Deliberately absent: the bounding set, which decides what a set-user-id program may get,
 * and securebits. Both stay as whoever started the server had them. */
#include "os/capability.h"

#include <errno.h>
#include <stddef.h>
#include <strings.h>
#include <sys/capability.h>
#include <sys/prctl.h>

int
pf_capability_find(const char *name, uint64_t *ret_bit)
{
    cap_value_t value;
    char *whole;
    bool same;

    if (cap_from_name(name, &value) < 0 || !CAP_IS_SUPPORTED(value))
        return -ENOENT;
    /* libcap takes bare numbers too, and stops reading where a name cannot go on. */
    whole = cap_to_name(value);
    same = whole && strcasecmp(whole, name) == 0;
    (void)cap_free(whole); /* fails only for what is none of libcap's */
    if (!same)
        return -ENOENT;
    *ret_bit = (uint64_t)1 << value;
    return 0;
}

static uint64_t
mask_of(cap_t set, cap_flag_t kind)
{
    cap_flag_value_t on = CAP_CLEAR;
    uint64_t mask = 0;

    for (cap_value_t value = 0; value < cap_max_bits(); value++) {
        if (cap_get_flag(set, value, kind, &on) == 0 && on == CAP_SET)
            mask |= (uint64_t)1 << value;
    }
    return mask;
}

int
pf_capability_read(struct pf_capabilities *ret_capabilities)
{
    cap_t set = cap_get_proc();

    if (!set)
        return -errno;
    *ret_capabilities = (struct pf_capabilities){
        .permitted = mask_of(set, CAP_PERMITTED),
        .effective = mask_of(set, CAP_EFFECTIVE),
        .inheritable = mask_of(set, CAP_INHERITABLE),
    };
    (void)cap_free(set); /* fails only for what is no set */
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

/* Fill an empty set: the mask permitted and in effect, nothing to inherit. */
static int
fill(cap_t set, uint64_t mask)
{
    for (cap_value_t value = 0; value < cap_max_bits(); value++) {
        if ((mask >> value & 1) == 0)
            continue;
        if (cap_set_flag(set, CAP_PERMITTED, 1, &value, CAP_SET) < 0 ||
            cap_set_flag(set, CAP_EFFECTIVE, 1, &value, CAP_SET) < 0)
            return -errno;
    }
    return 0;
}

static int
write_set(uint64_t mask)
{
    cap_t set = cap_init();
    int r;

    if (!set)
        return -errno;
    r = fill(set, mask);
    if (r == 0 && cap_set_proc(set) < 0)
        r = -errno;
    (void)cap_free(set); /* fails only for what is no set */
    return r;
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
