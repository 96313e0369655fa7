/* Blocks of IP addresses: their grammar, and finding one address among thousands of them.
 *
 * A block is kept as its first and last address, both as bytes that memcmp(3) puts in
 * order: the version comes first, so IPv4 and IPv6 never mix, and ::/0 has no IPv4 client
 * in it. A set is a table of such ranges. Sealing sorts it and joins what overlaps; then
 * the ranges are in order and apart, and a binary search for the last one that begins at or
 * before the address decides.
 *
 * Bits behind the length of a block are refused and not dropped: 10.1.2.3/8 is either a
 * slip for 10.1.2.3 or one for 10.0.0.0/8, and in a list that decides who may come in a
 * guess lets in sixteen million addresses or shuts them out. The sentence has both ways to
 * write it.
 *
 * Not here: netmasks, ranges, names, addresses with a zone. */
#include "net/block.h"

#include <prefork/prefork.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_BYTES = 80, /* of a block as text; more is none */
    V4_BITS = 32,
    V6_BITS = 128,
    MAPPED_BITS = 96, /* the prefix ::ffff:0:0/96 */
};

#define EXPECTED                                                                           \
    "expected is an address with or without a length, such as 192.0.2.0/24, "              \
    "2001:db8::/32 or 192.0.2.7"

/* A block being read: the text, and its two halves. */
struct reader {
    char text[BLOCK_BYTES]; /* the address; its length was cut off */
    const char *length;     /* behind the slash, or NULL */
    struct pf_ip ip;
    unsigned bits; /* of the address that count */
    unsigned most; /* bits of an address of this version */
};

/* ---- addresses ------------------------------------------------------------------- */

static struct pf_ip
ip_v4(const void *bytes)
{
    struct pf_ip ip = {.version = 4};

    memcpy(ip.bytes, bytes, 4);
    return ip;
}

static struct pf_ip
ip_v6(const struct in6_addr *address)
{
    struct pf_ip ip = {.version = 6};

    if (IN6_IS_ADDR_V4MAPPED(address))
        return ip_v4(&address->s6_addr[12]);
    memcpy(ip.bytes, address, sizeof ip.bytes);
    return ip;
}

struct pf_ip
pf_ip_of(const struct sockaddr *address, socklen_t length)
{
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;

    if (length >= sizeof *v4 && address->sa_family == AF_INET)
        return ip_v4(&v4->sin_addr);
    if (length >= sizeof *v6 && address->sa_family == AF_INET6)
        return ip_v6(&v6->sin6_addr);
    return (struct pf_ip){0};
}

static int
compare(const struct pf_ip *a, const struct pf_ip *b)
{
    return memcmp(a, b, sizeof *a);
}

/* ---- reading --------------------------------------------------------------------- */

static int
refuse(const char *text, size_t length, const char *what, struct pf_error *error)
{
    return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL, "\"%.*s\" %s; " EXPECTED,
                        (int)(length < BLOCK_BYTES ? length : BLOCK_BYTES), text, what);
}

static bool
read_address(struct reader *r)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, r->text, &v4) == 1) {
        r->ip = ip_v4(&v4);
        r->most = V4_BITS;
    } else if (inet_pton(AF_INET6, r->text, &v6) == 1) {
        r->ip = ip_v6(&v6);
        r->most = V6_BITS;
    } else {
        return false;
    }
    return true;
}

/* One to three digits: no sign, no blank, nothing behind. */
static bool
read_number(const char *s, unsigned *ret_number)
{
    size_t digits = strspn(s, "0123456789");

    if (digits == 0 || digits > 3 || s[digits] != '\0')
        return false;
    *ret_number = (unsigned)strtoul(s, NULL, 10);
    return true;
}

/* The length, which for an IPv4 address in an IPv6 one counts the bits of the latter. Such
 * a block that is larger than all of IPv4 would be neither. */
static bool
read_length(struct reader *r)
{
    r->bits = r->most;
    if (r->length && !read_number(r->length, &r->bits))
        return false;
    if (r->bits > r->most)
        return false;
    if (r->ip.version == 4 && r->most == V6_BITS) {
        if (r->bits < MAPPED_BITS)
            return false;
        r->bits -= MAPPED_BITS;
    }
    return true;
}

/* The last address that shares the counted bits; true if the block's first one has none
 * behind them. */
static bool
make_block(const struct reader *r, struct pf_block *block)
{
    unsigned width = r->ip.version == 4 ? V4_BITS : V6_BITS;
    bool clean = true;

    block->first = r->ip;
    block->last = r->ip;
    for (unsigned bit = r->bits; bit < width; bit++) {
        uint8_t mask = (uint8_t)(0x80 >> bit % 8);
        clean = clean && !(block->first.bytes[bit / 8] & mask);
        block->first.bytes[bit / 8] &= (uint8_t)~mask;
        block->last.bytes[bit / 8] |= mask;
    }
    return clean;
}

static void
format_ip(const struct pf_ip *ip, char *buffer, size_t size)
{
    char text[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(ip->version == 4 ? AF_INET : AF_INET6, ip->bytes, text, sizeof text);
    (void)snprintf(buffer, size, "%s", text); /* cut is promised */
}

static int
refuse_bits(const struct reader *r, const struct pf_block *block, struct pf_error *error)
{
    char first[INET6_ADDRSTRLEN];
    char alone[INET6_ADDRSTRLEN];

    format_ip(&block->first, first, sizeof first);
    format_ip(&r->ip, alone, sizeof alone);
    return pf_error_set(error, PREFORK_EXIT_CONFIG, EINVAL,
                        "\"%s/%s\" has bits set behind its length; write %s/%u for the "
                        "block, or %s for the one address",
                        r->text, r->length, first, r->bits, alone);
}

int
pf_block_parse(const char *text, size_t length, struct pf_block *ret_block,
               struct pf_error *error)
{
    struct reader r = {0};
    struct pf_block block;
    char *slash;

    if (length >= sizeof r.text || memchr(text, '\0', length))
        return refuse(text, length, "is no block of addresses", error);
    memcpy(r.text, text, length);
    slash = strchr(r.text, '/');
    if (slash) {
        *slash = '\0';
        r.length = slash + 1;
    }
    if (!read_address(&r))
        return refuse(text, length, "is no block of addresses", error);
    if (!read_length(&r))
        return refuse(text, length, "has a length that its address cannot have", error);
    if (!make_block(&r, &block))
        return refuse_bits(&r, &block, error);
    *ret_block = block;
    return 0;
}

/* ---- sets ------------------------------------------------------------------------ */

int
pf_blocks_add(struct pf_blocks *set, const struct pf_block *block)
{
    if (set->count == set->capacity) {
        size_t capacity = set->capacity > 0 ? 2 * set->capacity : 16;
        struct pf_block *grown = realloc(set->table, capacity * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        set->table = grown;
        set->capacity = capacity;
    }
    set->table[set->count++] = *block;
    return 0;
}

static int
by_first(const void *a, const void *b)
{
    const struct pf_block *x = a;
    const struct pf_block *y = b;

    return compare(&x->first, &y->first);
}

void
pf_blocks_seal(struct pf_blocks *set)
{
    size_t kept = 0;

    if (set->count == 0)
        return;
    qsort(set->table, set->count, sizeof *set->table, by_first);
    for (size_t i = 1; i < set->count; i++) {
        const struct pf_block *next = &set->table[i];
        struct pf_block *current = &set->table[kept];
        if (compare(&next->first, &current->last) > 0)
            set->table[++kept] = *next;
        else if (compare(&next->last, &current->last) > 0)
            current->last = next->last;
    }
    set->count = kept + 1;
}

const struct pf_block *
pf_blocks_find(const struct pf_blocks *set, const struct pf_ip *ip)
{
    size_t low = 0;
    size_t high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&set->table[middle].first, ip) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || compare(ip, &set->table[low - 1].last) > 0)
        return NULL;
    return &set->table[low - 1];
}

void
pf_block_format(const struct pf_block *block, char *buffer, size_t size)
{
    char first[INET6_ADDRSTRLEN];
    char last[INET6_ADDRSTRLEN];

    format_ip(&block->first, first, sizeof first);
    format_ip(&block->last, last, sizeof last);
    if (compare(&block->first, &block->last) == 0)
        (void)snprintf(buffer, size, "%s", first);
    else
        (void)snprintf(buffer, size, "%s to %s", first, last); /* cut is promised */
}

void
pf_blocks_deinit(struct pf_blocks *set)
{
    free(set->table);
    *set = (struct pf_blocks){0};
}
