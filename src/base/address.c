/* Socket addresses as text, and compared.
 *
 * The length that came with an address is checked before its family is believed: the
 * kernel returns short addresses for unnamed unix sockets. A unix path need not be
 * terminated, it may fill sun_path to the last byte. An abstract name begins with a zero
 * byte and may hold more; all are shown as '@', as ss(8) does.
 *
 * It reads no names: no resolver, no interface names, since either would be a look-up per
 * connection. */
#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static const struct sockaddr_in *
as_ipv4(const struct sockaddr *address, socklen_t length)
{
    if (length < sizeof(struct sockaddr_in) || address->sa_family != AF_INET)
        return NULL;
    return (const void *)address;
}

static const struct sockaddr_in6 *
as_ipv6(const struct sockaddr *address, socklen_t length)
{
    if (length < sizeof(struct sockaddr_in6) || address->sa_family != AF_INET6)
        return NULL;
    return (const void *)address;
}

/* The bytes of a unix address; 0 of them if it is unnamed or no unix address. */
static size_t
unix_name(const struct sockaddr *address, socklen_t length, const char **ret_name)
{
    size_t header = offsetof(struct sockaddr_un, sun_path);
    const struct sockaddr_un *un = (const void *)address;
    size_t room;

    if (length <= header || address->sa_family != AF_UNIX)
        return 0;
    room = length - header;
    *ret_name = un->sun_path;
    return un->sun_path[0] == '\0' ? room : strnlen(un->sun_path, room);
}

static void
format_unix(const struct sockaddr *address, socklen_t length, char *buffer, size_t size)
{
    const char *name = "";
    size_t n = unix_name(address, length, &name);

    if (n >= size)
        n = size - 1;
    for (size_t i = 0; i < n; i++)
        buffer[i] = name[i] == '\0' ? '@' : name[i];
    buffer[n] = '\0';
}

void
pf_address_host(const struct sockaddr *address, socklen_t length, char *buffer, size_t size)
{
    const struct sockaddr_in *v4 = as_ipv4(address, length);
    const struct sockaddr_in6 *v6 = as_ipv6(address, length);
    char text[INET6_ADDRSTRLEN] = "";

    if (v4)
        (void)inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text); /* it fits */
    else if (v6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        (void)inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, sizeof text);
    else if (v6)
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    (void)snprintf(buffer, size, "%s", text); /* cut is promised */
}

void
pf_address_format(const struct sockaddr *address, socklen_t length, char *buffer,
                  size_t size)
{
    const struct sockaddr_in6 *v6 = as_ipv6(address, length);
    unsigned port = pf_address_port(address, length);
    char host[INET6_ADDRSTRLEN];

    if (!v6 && !as_ipv4(address, length)) {
        format_unix(address, length, buffer, size);
        return;
    }
    pf_address_host(address, length, host, sizeof host);
    if (!v6 || IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        (void)snprintf(buffer, size, "%s:%u", host, port);
    else if (v6->sin6_scope_id == 0)
        (void)snprintf(buffer, size, "[%s]:%u", host, port);
    else
        (void)snprintf(buffer, size, "[%s%%%u]:%u", host, v6->sin6_scope_id, port);
}

unsigned
pf_address_port(const struct sockaddr *address, socklen_t length)
{
    const struct sockaddr_in *v4 = as_ipv4(address, length);
    const struct sockaddr_in6 *v6 = as_ipv6(address, length);

    if (v4)
        return ntohs(v4->sin_port);
    return v6 ? ntohs(v6->sin6_port) : 0;
}

void
pf_address_set_port(struct sockaddr *address, unsigned port)
{
    if (address->sa_family == AF_INET)
        ((struct sockaddr_in *)(void *)address)->sin_port = htons((in_port_t)port);
    else if (address->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons((in_port_t)port);
}

static bool
same_unix(const struct sockaddr *a, socklen_t a_length, const struct sockaddr *b,
          socklen_t b_length)
{
    const char *a_name = "";
    const char *b_name = "";
    size_t a_bytes = unix_name(a, a_length, &a_name);
    size_t b_bytes = unix_name(b, b_length, &b_name);

    return a_bytes > 0 && a_bytes == b_bytes && memcmp(a_name, b_name, a_bytes) == 0;
}

bool
pf_address_same(const struct sockaddr *a, socklen_t a_length, const struct sockaddr *b,
                socklen_t b_length)
{
    const struct sockaddr_in *a4 = as_ipv4(a, a_length);
    const struct sockaddr_in *b4 = as_ipv4(b, b_length);
    const struct sockaddr_in6 *a6 = as_ipv6(a, a_length);
    const struct sockaddr_in6 *b6 = as_ipv6(b, b_length);

    if (a4 && b4)
        return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    if (a6 && b6)
        return a6->sin6_port == b6->sin6_port && a6->sin6_scope_id == b6->sin6_scope_id &&
               IN6_ARE_ADDR_EQUAL(&a6->sin6_addr, &b6->sin6_addr);
    return same_unix(a, a_length, b, b_length);
}
