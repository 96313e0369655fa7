/* Blocks of IP addresses (CIDR), and large sets of them.
 *
 * A set is filled and sealed at start; afterwards it only answers. Asking costs a binary
 * search, allocates nothing and makes no system call. */
#ifndef PF_NET_BLOCK_H
#define PF_NET_BLOCK_H

#include "base/attr.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* An address as bytes that sort: the IP version (4 or 6), then the address. An IPv4 address
 * inside an IPv6 one is IPv4. A version of 0 is no IP address and in no block. */
struct pf_ip {
    uint8_t version;
    uint8_t bytes[16]; /* of IPv4 the first four; the rest is 0 */
};

/* All addresses from first to last, both included; of one version. */
struct pf_block {
    struct pf_ip first;
    struct pf_ip last;
};

struct pf_blocks {
    struct pf_block *table; /* owned */
    size_t count;
    size_t capacity;
};

/* The address of a socket address. */
struct pf_ip pf_ip_of(const struct sockaddr *address, socklen_t length);

/* Read one block of length bytes: "192.0.2.0/24", "2001:db8::/32", "::ffff:192.0.2.0/120"
 * (which is IPv4), or a bare address, which is a block of one. Bits of the address behind
 * the length must be 0.
 *
 * 0, or -EINVAL with a sentence that says what is wrong and what is expected;
 * *ret_block is untouched then. */
PF_MUST_USE int pf_block_parse(const char *text, size_t length, struct pf_block *ret_block,
                               struct pf_error *error);

/* Add a block, before the set is sealed. 0 or -ENOMEM. */
PF_MUST_USE int pf_blocks_add(struct pf_blocks *set, const struct pf_block *block);

/* Sort, and make one block of those that overlap. Once, before the first question. */
void pf_blocks_seal(struct pf_blocks *set);

/* The block of a sealed set that has this address, or NULL; borrowed. */
const struct pf_block *pf_blocks_find(const struct pf_blocks *set, const struct pf_ip *ip);

/* Write "192.0.2.0 to 192.0.2.255" or a bare address. Cut where it does not fit. */
void pf_block_format(const struct pf_block *block, char *buffer, size_t size);

/* Release the table. A zeroed set is fine. */
void pf_blocks_deinit(struct pf_blocks *set);

#endif
