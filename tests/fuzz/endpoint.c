/* Ports: four lines, which are port, host, proto and ipv; those that are missing are not
 * set. What is read ends within its fields and fits what it says of itself. */
#include "net/endpoint.h"

#include "fuzz.h"

#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pf_endpoint endpoint = {0};
    struct pf_error error = {0};
    char *text = text_of(data, size);
    char *rest = text;
    const char *port = strsep(&rest, "\n");
    const char *host = strsep(&rest, "\n");
    const char *proto = strsep(&rest, "\n");
    const char *ipv = strsep(&rest, "\n");

    if (pf_endpoint_parse(port, host, proto, ipv, &endpoint, &error) == 0) {
        REQUIRE(memchr(endpoint.host, '\0', sizeof endpoint.host));
        REQUIRE(memchr(endpoint.port, '\0', sizeof endpoint.port));
        REQUIRE(endpoint.port[0] != '\0');
        REQUIRE(pf_proto_is_unix(endpoint.proto) || endpoint.host[0] != '\0');
        REQUIRE(endpoint.ipv <= (PF_IPV_4 | PF_IPV_6));
    } else {
        REQUIRE(error.text[0] != '\0');
        REQUIRE(endpoint.port[0] == '\0');
    }
    free(text);
    return 0;
}
