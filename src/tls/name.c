/* Names of hosts, as certificates are chosen by them.
 *
 * A client says the name it wants before anything is encrypted, so this is text of a
 * stranger: only what can be a host name goes any further. A name in the list is exact, or
 * begins with "*." and then stands for one label, as in a certificate. */
#include "tls/internal.h"

#include <ctype.h>
#include <string.h>

bool
pf_name_copy(const char *host, char *buffer, size_t size)
{
    size_t length = strlen(host);

    if (length == 0 || length >= size)
        return false;
    for (size_t i = 0; i <= length; i++) {
        unsigned char c = (unsigned char)host[i];
        if (c != '\0' && !isalnum(c) && c != '-' && c != '.' && c != '_')
            return false;
        buffer[i] = (char)tolower(c);
    }
    return true;
}

static bool
matches(const char *name, size_t length, const char *host)
{
    const char *dot = strchr(host, '.');

    if (length > 2 && name[0] == '*' && name[1] == '.') {
        if (!dot || dot == host)
            return false;
        name++;
        length--;
        host = dot;
    }
    return strlen(host) == length && memcmp(name, host, length) == 0;
}

bool
pf_names_match(const char *names, const char *host)
{
    for (const char *name = names; *name != '\0';) {
        size_t length = strcspn(name, ",");
        if (matches(name, length, host))
            return true;
        name += length;
        name += *name == ',';
    }
    return false;
}
