/* Every way of writing a port, and every way of getting it wrong. */

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "base/text.h"
#include "net/endpoint.h"
#include <prefork/prefork.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct good {
    const char *name;
    const char *text, *host, *proto, *ipv; /* the setting and its defaults */
    enum pf_proto is_proto;
    const char *is_host, *is_port;
    unsigned is_ipv;
};

#define TCP   PF_PROTO_TCP
#define UNIX  PF_PROTO_UNIX
#define DGRAM PF_PROTO_UNIXDGRAM
#define BOTH  (PF_IPV_4 | PF_IPV_6)

static const struct good goods[] = {
    /* The examples of Net::Server. */
    {"port alone", "20203", NULL, NULL, NULL, TCP, "*", "20203", PF_IPV_ANY},
    {"star and port", "*:20203", NULL, NULL, NULL, TCP, "*", "20203", PF_IPV_ANY},
    {"name, port, proto", "localhost:20204/tcp", NULL, NULL, NULL, TCP, "localhost",
     "20204", PF_IPV_ANY},
    {"commas", "localhost, 20204, tcp, IPv*", NULL, NULL, NULL, TCP, "localhost", "20204",
     PF_IPV_ANY},
    {"bars", "localhost | 20204 | tcp", NULL, NULL, NULL, TCP, "localhost", "20204",
     PF_IPV_ANY},
    {"service", "localhost:http", NULL, NULL, NULL, TCP, "localhost", "http", PF_IPV_ANY},
    {"star as IPv4", "*:80/IPv4", NULL, NULL, NULL, TCP, "*", "80", PF_IPV_4},
    {"star in brackets", "[*]:20201:IPv6", NULL, NULL, NULL, TCP, "*", "20201", PF_IPV_6},
    {"port as ipv6", "80/ipv6", NULL, NULL, NULL, TCP, "*", "80", PF_IPV_6},
    {"stacked", "localhost:20203/IPv4/IPv6", NULL, NULL, NULL, TCP, "localhost", "20203",
     BOTH},
    {"setting v4v6", "localhost:20203", NULL, NULL, "v4v6", TCP, "localhost", "20203",
     BOTH},
    {"v6 in brackets", "[::1]:80", NULL, NULL, NULL, TCP, "::1", "80", PF_IPV_6},
    {"v6 without brackets", "::1:80", NULL, NULL, NULL, TCP, "::1", "80", PF_IPV_6},
    {"v6 and comma", "::1, 80", NULL, NULL, NULL, TCP, "::1", "80", PF_IPV_6},
    {"v6 any address", "[::]:80", NULL, NULL, NULL, TCP, "::", "80", PF_IPV_6},
    {"v4 literal", "127.0.0.1:80", NULL, NULL, NULL, TCP, "127.0.0.1", "80", PF_IPV_4},
    {"path bar unix", "/path/sock|unix", NULL, NULL, NULL, UNIX, "*", "/path/sock", 0},
    {"path slash unix", "/path/sock/unix", NULL, NULL, NULL, UNIX, "*", "/path/sock", 0},
    {"path blank unix", "/path/sock unix", NULL, NULL, NULL, UNIX, "*", "/path/sock", 0},

    /* What surprised there works here. */
    {"path, default unix", "/path/sock", NULL, "unix", NULL, UNIX, "*", "/path/sock", 0},
    {"path, default tcp", "/path/sock", NULL, "tcp", NULL, UNIX, "*", "/path/sock", 0},
    {"path, no default", "/path/sock", NULL, NULL, NULL, UNIX, "*", "/path/sock", 0},
    {"path, stream, unix", "/p/s|SOCK_STREAM|UNIX", NULL, NULL, NULL, UNIX, "*", "/p/s", 0},
    {"path, unix, stream", "/p/s|unix|sock_stream", NULL, NULL, NULL, UNIX, "*", "/p/s", 0},
    {"path, comma unix", "/p/s,Unix", NULL, NULL, NULL, UNIX, "*", "/p/s", 0},
    {"path, colon unix", "/p/s:unix", NULL, NULL, NULL, UNIX, "*", "/p/s", 0},
    {"path with a blank", "/a b|unix", NULL, NULL, NULL, UNIX, "*", "/a b", 0},
    {"path with a blank, bare", "/a b", NULL, NULL, NULL, UNIX, "*", "/a b", 0},
    {"path with a colon", "/a:80", NULL, NULL, NULL, UNIX, "*", "/a:80", 0},
    {"path named tcp", "/run/tcp", NULL, NULL, NULL, UNIX, "*", "/run/tcp", 0},
    {"path named unix", "/run/unix|unix", NULL, NULL, NULL, UNIX, "*", "/run/unix", 0},
    {"path with a dot", "/run/x.sock|unix", NULL, NULL, NULL, UNIX, "*", "/run/x.sock", 0},
    {"path, blanks around", " /run/x | unix ", NULL, NULL, NULL, UNIX, "*", "/run/x", 0},
    {"path ignores ipv", "/run/x", "h", NULL, "4", UNIX, "*", "/run/x", 0},
    {"host slash port", "localhost/80", NULL, NULL, NULL, TCP, "localhost", "80", 0},
    {"v4 slash port", "127.0.0.1/80", NULL, NULL, NULL, TCP, "127.0.0.1", "80", PF_IPV_4},
    {"v6 slash port", "::1/80", NULL, NULL, NULL, TCP, "::1", "80", PF_IPV_6},
    {"trailing blank", "80 ", NULL, NULL, NULL, TCP, "*", "80", 0},
    {"leading blank", "\t 80", NULL, NULL, NULL, TCP, "*", "80", 0},
    {"scope id", "[fe80::1%eth0]:80", NULL, NULL, NULL, TCP, "fe80::1%eth0", "80",
     PF_IPV_6},
    {"full v6 without brackets", "1:2:3:4:5:6:7:8:80", NULL, NULL, NULL, TCP,
     "1:2:3:4:5:6:7:8", "80", PF_IPV_6},

    /* Separators, case, defaults. */
    {"blanks", "localhost 80 tcp IPv4", NULL, NULL, NULL, TCP, "localhost", "80", PF_IPV_4},
    {"slashes", "localhost/80/tcp/IPv4", NULL, NULL, NULL, TCP, "localhost", "80",
     PF_IPV_4},
    {"colons", "localhost:80:tcp:IPv4", NULL, NULL, NULL, TCP, "localhost", "80", PF_IPV_4},
    {"run of separators", "localhost :, | 80", NULL, NULL, NULL, TCP, "localhost", "80", 0},
    {"upper case", "LOCALHOST:80/TCP/IPV6", NULL, NULL, NULL, TCP, "LOCALHOST", "80",
     PF_IPV_6},
    {"ipv before proto", "80/IPv4/tcp", NULL, NULL, NULL, TCP, "*", "80", PF_IPV_4},
    {"colon and port", ":80", NULL, NULL, NULL, TCP, "*", "80", 0},
    {"empty brackets", "[]:80", NULL, NULL, NULL, TCP, "*", "80", 0},
    {"name in brackets", "[localhost]:80", NULL, NULL, NULL, TCP, "localhost", "80", 0},
    {"port zero", "0", NULL, NULL, NULL, TCP, "*", "0", 0},
    {"highest port", "65535", NULL, NULL, NULL, TCP, "*", "65535", 0},
    {"service with a dash", "http-alt", NULL, NULL, NULL, TCP, "*", "http-alt", 0},
    {"default host", "80", "localhost", NULL, NULL, TCP, "localhost", "80", 0},
    {"default host in brackets", "80", "[::1]", NULL, NULL, TCP, "::1", "80", PF_IPV_6},
    {"default host empty", "80", "", "", "", TCP, "*", "80", 0},
    {"own host", "*:80", "localhost", NULL, NULL, TCP, "*", "80", 0},
    {"explicit tcp", "80/tcp", NULL, "unix", NULL, TCP, "*", "80", 0},
    {"sock_stream of tcp", "80|sock_stream|tcp", NULL, NULL, NULL, TCP, "*", "80", 0},
    {"udp", "80/udp", NULL, NULL, NULL, PF_PROTO_UDP, "*", "80", 0},
    {"udp and ipv", "200/udp/IPv4", NULL, NULL, NULL, PF_PROTO_UDP, "*", "200", PF_IPV_4},
    {"default udp", "80", NULL, "udp", NULL, PF_PROTO_UDP, "*", "80", 0},
    {"ssl", "443/ssl", NULL, NULL, NULL, PF_PROTO_SSL, "*", "443", 0},
    {"ssleay", "443,SSLeay", NULL, NULL, NULL, PF_PROTO_SSL, "*", "443", 0},
    {"unixdgram", "/p/s|unixdgram", NULL, NULL, NULL, DGRAM, "*", "/p/s", 0},
    {"slash unixdgram", "/p/s/unixdgram", NULL, NULL, NULL, DGRAM, "*", "/p/s", 0},
    {"sock_dgram", "/p/s|sock_dgram|unix", NULL, NULL, NULL, DGRAM, "*", "/p/s", 0},
    {"SOCK_DGRAM", "/p/SOCK|SOCK_DGRAM", NULL, NULL, NULL, DGRAM, "*", "/p/SOCK", 0},
    {"default unixdgram", "/p", NULL, "unixdgram", NULL, DGRAM, "*", "/p", 0},
    {"path, default ssl", "/p", NULL, "ssl", NULL, UNIX, "*", "/p", 0},

    /* Ip versions: proto beats host beats port beats setting. */
    {"setting 4", "80", NULL, NULL, "4", TCP, "*", "80", PF_IPV_4},
    {"setting IPv6", "80", NULL, NULL, "IPv6", TCP, "*", "80", PF_IPV_6},
    {"setting 4 and 6", "80", NULL, NULL, "4, 6", TCP, "*", "80", BOTH},
    {"setting with star", "80", NULL, NULL, "4*", TCP, "*", "80", PF_IPV_ANY},
    {"port beats setting", "80/IPv4", NULL, NULL, "6", TCP, "*", "80", PF_IPV_4},
    {"star beats setting", "80/IPv*", NULL, NULL, "6", TCP, "*", "80", PF_IPV_ANY},
    {"host beats port", "80/IPv4", "localhost/IPv6", NULL, NULL, TCP, "localhost", "80",
     PF_IPV_6},
    {"proto beats host", "80/IPv6", "localhost/IPv6", "tcp/IPv4", NULL, TCP, "localhost",
     "80", PF_IPV_4},
    {"proto beats port", "80/IPv6", NULL, "TCP,ipv4", NULL, TCP, "*", "80", PF_IPV_4},
    {"unused host's ipv", "*:80", "localhost/IPv6", NULL, NULL, TCP, "*", "80", 0},
    {"unused proto's ipv", "80/tcp", NULL, "tcp/IPv6", NULL, TCP, "*", "80", 0},
    {"ipv at the host", "localhost/IPv4:80", NULL, NULL, NULL, TCP, "localhost", "80",
     PF_IPV_4},
    {"ipv at the bracket", "[*]/IPv4:80", NULL, NULL, NULL, TCP, "*", "80", PF_IPV_4},
    {"ipv 46", "80/IPv46", NULL, NULL, NULL, TCP, "*", "80", BOTH},
    {"literal of both", "127.0.0.1:80", NULL, NULL, "v4v6", TCP, "127.0.0.1", "80",
     PF_IPV_4},
    {"v6 literal of both", "[::1]:80/IPv4/IPv6", NULL, NULL, NULL, TCP, "::1", "80",
     PF_IPV_6},
};

struct bad {
    const char *name;
    const char *text, *host, *proto, *ipv;
    const char *sentence; /* part of it */
};

static const struct bad bads[] = {
    {"class", "80/My::Tcp", NULL, NULL, NULL, "protocol My::Tcp is not supported"},
    {"class and ipv", "80/My::Tcp/IPv4", NULL, NULL, NULL, "protocol My::Tcp is not supp"},
    {"legacy class", "80/MyTcp", NULL, NULL, NULL, "protocol MyTcp is not known"},
    {"default class", "80", NULL, "My::Tcp", NULL, "protocol My::Tcp is not known"},
    {"path as udp", "/p/s|udp", NULL, NULL, NULL,
     "a path needs the protocol unix or unixdgram"},
    {"ssl as unix", "80/ssl/unix", NULL, NULL, NULL, "two protocols, ssl and unix"},
    {"two protocols", "80/tcp/udp", NULL, NULL, NULL, "two protocols, tcp and udp"},
    {"path as tcp", "/p/s|tcp", NULL, NULL, NULL, "a path needs the protocol unix"},
    {"path and ipv", "/p/s|unix|IPv4", NULL, NULL, NULL, "IPv4 makes no sense for a path"},
    {"relative path", "x.sock|unix", NULL, NULL, NULL, "begins with /, not \"x.sock\""},
    {"port as unix", "80", NULL, "unix", NULL, "begins with /, not \"80\""},
    {"path with newline", "/a\nb", NULL, NULL, NULL,
     "\"/a?b\": the path contains a control"},
    {"v4 as v6", "127.0.0.1:80/IPv6", NULL, NULL, NULL,
     "127.0.0.1 is an IPv4 address, but"},
    {"v4 as v6 by setting", "127.0.0.1:80", NULL, NULL, "6", "but IPv6 is asked for"},
    {"v6 as v4", "[::1]:80/IPv4", NULL, NULL, NULL, "::1 is an IPv6 address, but IPv4"},
    {"mapped", "[::ffff:127.0.0.1]:80", NULL, NULL, NULL, "write it as one"},
    {"IPv5", "80/IPv5", NULL, NULL, NULL, "ip version \"IPv5\" is not known"},
    {"setting six", "80", NULL, NULL, "six", "ip version \"six\" is not known"},
    {"setting v", "80", NULL, NULL, "v", "ip version \"v\" is not known"},
    {"nothing", "", NULL, NULL, NULL, "the port is missing"},
    {"no setting", NULL, NULL, NULL, NULL, "the port is missing"},
    {"blanks only", "  ", NULL, NULL, NULL, "the port is missing"},
    {"host only", "localhost:", NULL, NULL, NULL, "the port is missing"},
    {"bracket only", "[::1]", NULL, NULL, NULL, "a port is missing after the bracket"},
    {"bracket and colon", "[::1]:", NULL, NULL, NULL,
     "a port is missing after the bracket"},
    {"bracket then port", "[::1]80", NULL, NULL, NULL,
     "a port is missing after the bracket"},
    {"open bracket", "[::1:80", NULL, NULL, NULL, "the bracket is not closed"},
    {"v4 only", "127.0.0.1", NULL, NULL, NULL, "a host comes before the port"},
    {"v6 only", "::1", NULL, NULL, NULL, "use brackets"},
    {"v6 any only", "::", NULL, NULL, NULL, "use brackets"},
    {"v6 with a gap", "2001:db8::80", NULL, NULL, NULL, "use brackets"},
    {"v6 like a class", "2001:db8::beef", NULL, NULL, NULL, "use brackets"},
    {"v6 like a host", "fe80::80", NULL, NULL, NULL, "use brackets"},
    {"not v6", "::g:80", NULL, NULL, NULL, "goes in brackets"},
    {"too high", "65536", NULL, NULL, NULL, "port 65536 is above 65535"},
    {"far too high", "*:99999999999999999999999", NULL, NULL, NULL, "is above 65535"},
    {"negative", "-1", NULL, NULL, NULL, "neither a port number nor a service"},
    {"not a service", "localhost:8%0", NULL, NULL, NULL, "\"8%0\" is neither"},
    {"port star", "localhost:*", NULL, NULL, NULL, "\"*\" is neither"},
    {"number as host", "80:90", NULL, NULL, NULL, "\"80\" is neither a host name"},
    {"half an address", "127.1:80", NULL, NULL, NULL, "\"127.1\" is neither a host name"},
    {"strange host", "a/b:80", NULL, NULL, NULL, "it contains \"/\""},
    {"newline in a default", "80", NULL, "t\ncp", NULL, "protocol t?cp is not known"},
    {"strange default host", "80", "a!b", NULL, NULL, "it contains \"!\""},
};

static void
fail_case(const char *name, const char *what, const char *got)
{
    fail_msg("%s: %s: got \"%s\"", name, what, got);
}

static void
check_good(const struct good *c)
{
    struct pf_endpoint e = {.backlog = 7, .mode = 0600};
    struct pf_error error = {0};

    if (pf_endpoint_parse(c->text, c->host, c->proto, c->ipv, &e, &error) != 0)
        fail_case(c->name, "refused", error.text);
    if (strcmp(e.host, c->is_host) != 0)
        fail_case(c->name, "host", e.host);
    if (strcmp(e.port, c->is_port) != 0)
        fail_case(c->name, "port", e.port);
    if (e.proto != c->is_proto || e.ipv != c->is_ipv)
        fail_msg("%s: proto %d, ipv %u", c->name, (int)e.proto, e.ipv);
    assert_int_equal(e.backlog, 7);
    assert_int_equal(e.mode, 0600);
}

static void
reads_what_is_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(goods); i++)
        check_good(&goods[i]);
}

static void
check_bad(const struct bad *c)
{
    struct pf_endpoint e = {.port = "untouched"};
    struct pf_error error = {0};

    if (pf_endpoint_parse(c->text, c->host, c->proto, c->ipv, &e, &error) != -EINVAL)
        fail_case(c->name, "accepted", e.port);
    if (!strstr(error.text, c->sentence))
        fail_case(c->name, c->sentence, error.text);
    if (strcmp(e.port, "untouched") != 0 || error.exit_code != PREFORK_EXIT_CONFIG)
        fail_case(c->name, "side effect", e.port);
}

static void
refuses_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < PF_COUNT(bads); i++)
        check_bad(&bads[i]);
}

/* A text of this many bytes that begins with head and ends with tail. */
static const char *
long_text(const char *head, size_t length, const char *tail)
{
    static char text[2000];
    size_t n = (size_t)snprintf(text, sizeof text, "%s", head);

    memset(text + n, 'x', length - n);
    (void)snprintf(text + length - strlen(tail), strlen(tail) + 1, "%s", tail);
    return text;
}

static void
knows_the_limits_of_length(void **state)
{
    struct pf_endpoint e = {0};
    struct pf_error error = {0};

    (void)state;
    assert_int_equal(pf_endpoint_parse(long_text("/", 107, ""), 0, 0, 0, &e, &error), 0);
    assert_int_equal(strlen(e.port), 107);
    check_bad(&(struct bad){.name = "path",
                            .text = long_text("/", 108, ""),
                            .sentence = "108 bytes, and the system allows 107"});
    check_bad(&(struct bad){.name = "host",
                            .text = long_text("h", 300, ":80"),
                            .sentence = "the host is too long"});
    check_bad(&(struct bad){.name = "port",
                            .text = long_text("h", 300, ""),
                            .sentence = "the port is too long"});
    check_bad(&(struct bad){
        .name = "all", .text = long_text("h", 1500, ""), .sentence = "it is too long"});
    check_bad(&(struct bad){.name = "default host",
                            .text = "80",
                            .host = long_text("h", 1500, ""),
                            .sentence = "the default host is too long"});
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_right),
        cmocka_unit_test(refuses_what_is_wrong),
        cmocka_unit_test(knows_the_limits_of_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
