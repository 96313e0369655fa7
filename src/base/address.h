/* Socket addresses as text.
 *
 * These run once per accepted connection, so they are plain: no allocation, no look-up,
 * no system call. Buffers of PF_ADDRESS_TEXT_BYTES fit every address; a smaller one gets
 * a cut text. Text is always terminated. An IPv4 address inside an IPv6 one is shown as
 * IPv4: that is what the client thinks it has. */
#ifndef PF_BASE_ADDRESS_H
#define PF_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum {
    PF_ADDRESS_TEXT_BYTES = 128, /* sun_path and its terminator, with some air */
};

/* "127.0.0.1:80", "[::1]:80", "[fe80::1%2]:80" (the number of the interface), a path,
 * "@name" for an abstract unix address, "" for an unnamed one or a family that is none
 * of these. */
void pf_address_format(const struct sockaddr *address, socklen_t length, char *buffer,
                       size_t size);

/* The address alone, without port, brackets and interface: "127.0.0.1", "::1"; "" for
 * unix. */
void pf_address_host(const struct sockaddr *address, socklen_t length, char *buffer,
                     size_t size);

/* Port in host byte order; 0 for unix. */
unsigned pf_address_port(const struct sockaddr *address, socklen_t length);

/* Give an IPv4 or IPv6 address another port (host byte order). */
void pf_address_set_port(struct sockaddr *address, unsigned port);

/* True if both mean the same place: family, address, port and interface for IPv4 and
 * IPv6, the path or name for unix. */
bool pf_address_same(const struct sockaddr *a, socklen_t a_length, const struct sockaddr *b,
                     socklen_t b_length);

#endif
