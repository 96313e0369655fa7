/* Libraries that only some configurations need: loaded when they are.
 *
 * A library that is mapped makes every fork dearer, whether it is used or not. */
#ifndef PF_OS_PART_H
#define PF_OS_PART_H

#include "base/attr.h"
#include "base/error.h"

#include <stddef.h>

/* A function of such a library, and the pointer that is to lead to it. */
struct pf_part_symbol {
    const char *name;
    void *pointer; /* address of a pointer to a function of its type */
};

/* Load the library of this name and fill the pointers of all symbols. It stays for good.
 * 0, or -ELIBACC with the reason in error; then no pointer is touched. */
PF_MUST_USE int pf_part_load(const char *library, const struct pf_part_symbol symbols[],
                             size_t count, struct pf_error *error);

#endif
